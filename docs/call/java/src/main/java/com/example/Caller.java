// Calls an API every minute with an access token of Hallpass. Spring Security keeps the token and
// renews it a minute before it expires.
package com.example;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.http.HttpClient;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import org.springframework.beans.factory.annotation.Value;
import org.springframework.boot.CommandLineRunner;
import org.springframework.boot.SpringApplication;
import org.springframework.boot.autoconfigure.SpringBootApplication;
import org.springframework.boot.ssl.SslBundle;
import org.springframework.boot.ssl.pem.PemSslStoreBundle;
import org.springframework.boot.ssl.pem.PemSslStoreDetails;
import org.springframework.context.annotation.Bean;
import org.springframework.http.client.JdkClientHttpRequestFactory;
import org.springframework.http.converter.FormHttpMessageConverter;
import org.springframework.security.oauth2.client.AuthorizedClientServiceOAuth2AuthorizedClientManager;
import org.springframework.security.oauth2.client.InMemoryOAuth2AuthorizedClientService;
import org.springframework.security.oauth2.client.OAuth2AuthorizedClientProviderBuilder;
import org.springframework.security.oauth2.client.OAuth2AuthorizedClientService;
import org.springframework.security.oauth2.client.endpoint.RestClientClientCredentialsTokenResponseClient;
import org.springframework.security.oauth2.client.http.OAuth2ErrorResponseErrorHandler;
import org.springframework.security.oauth2.client.registration.ClientRegistration;
import org.springframework.security.oauth2.client.registration.ClientRegistrationRepository;
import org.springframework.security.oauth2.client.web.client.OAuth2ClientHttpRequestInterceptor;
import org.springframework.security.oauth2.core.AuthorizationGrantType;
import org.springframework.security.oauth2.core.http.converter.OAuth2AccessTokenResponseHttpMessageConverter;
import org.springframework.web.client.HttpClientErrorException;
import org.springframework.web.client.RestClient;

@SpringBootApplication
public class Caller {
  public static void main(String[] arguments) {
    SpringApplication.run(Caller.class, arguments);
  }

  // Spring asks for the registration before each token. The files are read each time, because the
  // kubelet replaces them when the secret is rotated.
  @Bean
  ClientRegistrationRepository registrations(@Value("${hallpass.dir}") Path mounted) {
    return id ->
        ClientRegistration.withRegistrationId(id)
            .authorizationGrantType(AuthorizationGrantType.CLIENT_CREDENTIALS)
            .clientId(read(mounted.resolve("client_id")))
            .clientSecret(read(mounted.resolve("client_secret")))
            .tokenUri(read(endpoint(mounted)))
            .build();
  }

  @Bean
  OAuth2AuthorizedClientService tokens(ClientRegistrationRepository registrations) {
    return new InMemoryOAuth2AuthorizedClientService(registrations);
  }

  // The client for the API: it sends the token, and drops it when the API answers 401.
  @Bean
  RestClient api(
      ClientRegistrationRepository registrations,
      OAuth2AuthorizedClientService tokens,
      @Value("${hallpass.dir}") Path mounted) {
    var http = HttpClient.newBuilder().connectTimeout(Duration.ofSeconds(10));
    var ca = mounted.resolve("ca.crt");
    if (Files.exists(ca)) { // without it, the CAs of the JVM
      var trusted = PemSslStoreDetails.forCertificate(ca.toUri().toString());
      http.sslContext(SslBundle.of(new PemSslStoreBundle(null, trusted)).createSslContext());
    }
    var endpoint = new RestClientClientCredentialsTokenResponseClient();
    endpoint.setRestClient(
        RestClient.builder()
            .requestFactory(new JdkClientHttpRequestFactory(http.build()))
            .configureMessageConverters(
                converters ->
                    converters
                        .disableDefaults()
                        .addCustomConverter(new FormHttpMessageConverter())
                        .addCustomConverter(new OAuth2AccessTokenResponseHttpMessageConverter()))
            .defaultStatusHandler(new OAuth2ErrorResponseErrorHandler())
            .build());
    var manager = new AuthorizedClientServiceOAuth2AuthorizedClientManager(registrations, tokens);
    manager.setAuthorizedClientProvider(
        OAuth2AuthorizedClientProviderBuilder.builder()
            .clientCredentials(grant -> grant.accessTokenResponseClient(endpoint))
            .build());
    var bearer = new OAuth2ClientHttpRequestInterceptor(manager);
    bearer.setClientRegistrationIdResolver(request -> "hallpass");
    bearer.setAuthorizationFailureHandler(
        OAuth2ClientHttpRequestInterceptor.authorizationFailureHandler(tokens));
    return RestClient.builder().requestInterceptor(bearer).build();
  }

  @Bean
  CommandLineRunner loop(
      RestClient api,
      @Value("${api.url}") String url,
      @Value("${api.interval}") double seconds) {
    return arguments -> {
      while (true) {
        try {
          System.out.println(call(api, url));
        } catch (RuntimeException e) {
          System.out.println("try again later: " + e.getMessage());
        }
        Thread.sleep((long) (seconds * 1000));
      }
    };
  }

  // A token that was revoked, or whose signing key was withdrawn, is refused before it expires:
  // fetch another one, once.
  private static int call(RestClient api, String url) {
    try {
      return get(api, url);
    } catch (HttpClientErrorException.Unauthorized e) {
      return get(api, url);
    }
  }

  private static int get(RestClient api, String url) {
    return api.get().uri(url).retrieve().toBodilessEntity().getStatusCode().value();
  }

  private static Path endpoint(Path mounted) {
    var internal = mounted.resolve("internal_token_url");
    return Files.exists(internal) ? internal : mounted.resolve("token_url");
  }

  private static String read(Path file) {
    try {
      return Files.readString(file);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}
