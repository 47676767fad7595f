// Calls an API once with a token that it fetches by an assertion of its own key (private_key_jwt),
// and prints the status.
package com.example;

import com.nimbusds.jose.jwk.JWK;
import java.net.http.HttpClient;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import org.springframework.boot.ssl.SslBundle;
import org.springframework.boot.ssl.pem.PemSslStoreBundle;
import org.springframework.boot.ssl.pem.PemSslStoreDetails;
import org.springframework.http.client.JdkClientHttpRequestFactory;
import org.springframework.http.converter.FormHttpMessageConverter;
import org.springframework.security.oauth2.client.endpoint.NimbusJwtClientAuthenticationParametersConverter;
import org.springframework.security.oauth2.client.endpoint.OAuth2ClientCredentialsGrantRequest;
import org.springframework.security.oauth2.client.endpoint.RestClientClientCredentialsTokenResponseClient;
import org.springframework.security.oauth2.client.http.OAuth2ErrorResponseErrorHandler;
import org.springframework.security.oauth2.client.registration.ClientRegistration;
import org.springframework.security.oauth2.core.AuthorizationGrantType;
import org.springframework.security.oauth2.core.ClientAuthenticationMethod;
import org.springframework.security.oauth2.core.http.converter.OAuth2AccessTokenResponseHttpMessageConverter;
import org.springframework.util.LinkedMultiValueMap;
import org.springframework.web.client.RestClient;

public class KeyCaller {
  public static void main(String[] arguments) throws Exception {
    var mounted = Path.of(System.getenv("HALLPASS_DIR"));
    var key = JWK.parse(Files.readString(Path.of(System.getenv("KEY_FILE"))));
    var registration =
        ClientRegistration.withRegistrationId("hallpass")
            .authorizationGrantType(AuthorizationGrantType.CLIENT_CREDENTIALS)
            .clientAuthenticationMethod(ClientAuthenticationMethod.PRIVATE_KEY_JWT)
            .clientId(Files.readString(mounted.resolve("client_id")))
            .tokenUri(Files.readString(mounted.resolve("token_url")))
            .build();
    var issuer = Files.readString(mounted.resolve("issuer_url"));
    var assertion =
        new NimbusJwtClientAuthenticationParametersConverter<OAuth2ClientCredentialsGrantRequest>(
            client -> key);
    // Spring names the token endpoint; Hallpass accepts only its issuer as the audience.
    assertion.setJwtClientAssertionCustomizer(
        context -> context.getClaims().audience(List.of(issuer)));
    var endpoint = new RestClientClientCredentialsTokenResponseClient();
    endpoint.setRestClient(trusting(mounted.resolve("ca.crt")));
    endpoint.addParametersConverter(assertion);
    endpoint.addParametersConverter(
        request ->
            new LinkedMultiValueMap<>(
                Map.of("resource", List.of(System.getenv("RESOURCE")))));
    var token =
        endpoint
            .getTokenResponse(new OAuth2ClientCredentialsGrantRequest(registration))
            .getAccessToken()
            .getTokenValue();
    var answer =
        RestClient.create()
            .get()
            .uri(System.getenv("API_URL"))
            .headers(headers -> headers.setBearerAuth(token))
            .retrieve()
            .toBodilessEntity();
    System.out.println(answer.getStatusCode().value());
  }

  private static RestClient trusting(Path ca) {
    var trusted = PemSslStoreDetails.forCertificate(ca.toUri().toString());
    var context = SslBundle.of(new PemSslStoreBundle(null, trusted)).createSslContext();
    var http = HttpClient.newBuilder().sslContext(context).build();
    return RestClient.builder()
        .requestFactory(new JdkClientHttpRequestFactory(http))
        .configureMessageConverters(
            converters ->
                converters
                    .disableDefaults()
                    .addCustomConverter(new FormHttpMessageConverter())
                    .addCustomConverter(new OAuth2AccessTokenResponseHttpMessageConverter()))
        .defaultStatusHandler(new OAuth2ErrorResponseErrorHandler())
        .build();
  }
}
