// An API with Spring Security. It verifies tokens by the keys of Hallpass, with the decoder of
// docs/verify/java, or asks Hallpass about each token if hallpass.introspect is true.
package com.example;

import static org.springframework.security.config.Customizer.withDefaults;

import java.io.IOException;
import java.net.http.HttpClient;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import org.springframework.beans.factory.annotation.Value;
import org.springframework.boot.SpringApplication;
import org.springframework.boot.autoconfigure.SpringBootApplication;
import org.springframework.boot.ssl.SslBundles;
import org.springframework.context.annotation.Bean;
import org.springframework.http.client.JdkClientHttpRequestFactory;
import org.springframework.security.config.annotation.web.builders.HttpSecurity;
import org.springframework.security.config.http.SessionCreationPolicy;
import org.springframework.security.oauth2.server.resource.introspection.BadOpaqueTokenException;
import org.springframework.security.oauth2.server.resource.introspection.OpaqueTokenIntrospector;
import org.springframework.security.oauth2.server.resource.introspection.SpringOpaqueTokenIntrospector;
import org.springframework.security.web.SecurityFilterChain;
import org.springframework.web.bind.annotation.GetMapping;
import org.springframework.web.bind.annotation.RestController;
import org.springframework.web.client.RestTemplate;

@SpringBootApplication
@RestController
public class Api {
  public static void main(String[] arguments) {
    SpringApplication.run(Api.class, arguments);
  }

  @GetMapping("/orders")
  String orders() {
    return "orders";
  }

  @Bean
  SecurityFilterChain filters(HttpSecurity http, @Value("${hallpass.introspect}") boolean introspect)
      throws Exception {
    return http.authorizeHttpRequests(
            requests ->
                requests
                    .requestMatchers("/orders")
                    .hasAuthority("SCOPE_orders.read")
                    .anyRequest()
                    .denyAll())
        .sessionManagement(sessions -> sessions.sessionCreationPolicy(SessionCreationPolicy.STATELESS))
        .oauth2ResourceServer(
            server -> {
              if (introspect) {
                server.opaqueToken(withDefaults());
              } else {
                server.jwt(withDefaults());
              }
            })
        .build();
  }

  // The files are read for each request, because the kubelet replaces them when the secret is
  // rotated.
  @Bean
  OpaqueTokenIntrospector introspector(
      @Value("${hallpass.issuer}") String issuer,
      @Value("${hallpass.audience}") String audience,
      @Value("${hallpass.dir}") Path mounted,
      SslBundles bundles) {
    var http =
        HttpClient.newBuilder()
            .sslContext(bundles.getBundle("hallpass").createSslContext())
            .connectTimeout(Duration.ofSeconds(10))
            .build();
    var rest = new RestTemplate(new JdkClientHttpRequestFactory(http));
    rest.getInterceptors()
        .add(
            (request, body, next) -> {
              request
                  .getHeaders()
                  .setBasicAuth(read(mounted, "client_id"), read(mounted, "client_secret"));
              return next.execute(request, body);
            });
    var asking = new SpringOpaqueTokenIntrospector(issuer + "/oauth2/introspect", rest);
    return token -> {
      var caller = asking.introspect(token);
      List<String> audiences = caller.getAttribute("aud");
      // Hallpass answers about the tokens for every API of the namespace.
      if (audiences == null || !audiences.contains(audience)) {
        throw new BadOpaqueTokenException("the token is for another API");
      }
      return caller;
    };
  }

  private static String read(Path mounted, String name) throws IOException {
    return Files.readString(mounted.resolve(name));
  }
}
