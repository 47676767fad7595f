// The decoder of a resource server with Spring Security. As a bean it takes the place of what
// spring.security.oauth2.resourceserver.jwt.issuer-uri would set up.
package com.example;

import com.nimbusds.jose.JOSEObjectType;
import com.nimbusds.jose.proc.DefaultJOSEObjectTypeVerifier;
import java.net.http.HttpClient;
import java.time.Duration;
import java.util.List;
import org.springframework.beans.factory.annotation.Value;
import org.springframework.boot.ssl.SslBundles;
import org.springframework.context.annotation.Bean;
import org.springframework.context.annotation.Configuration;
import org.springframework.http.client.JdkClientHttpRequestFactory;
import org.springframework.security.oauth2.core.DelegatingOAuth2TokenValidator;
import org.springframework.security.oauth2.jose.jws.SignatureAlgorithm;
import org.springframework.security.oauth2.jwt.JwtClaimNames;
import org.springframework.security.oauth2.jwt.JwtClaimValidator;
import org.springframework.security.oauth2.jwt.JwtDecoder;
import org.springframework.security.oauth2.jwt.JwtIssuerValidator;
import org.springframework.security.oauth2.jwt.JwtTimestampValidator;
import org.springframework.security.oauth2.jwt.NimbusJwtDecoder;
import org.springframework.web.client.RestTemplate;

@Configuration
class ResourceServer {
  @Bean
  JwtDecoder decoder(
      @Value("${hallpass.issuer}") String issuer,
      @Value("${hallpass.audience}") String audience,
      SslBundles bundles) {
    var http =
        HttpClient.newBuilder()
            .sslContext(bundles.getBundle("hallpass").createSslContext())
            .connectTimeout(Duration.ofSeconds(10))
            .build();
    var decoder =
        NimbusJwtDecoder.withJwkSetUri(issuer + "/oauth2/jwks")
            .restOperations(new RestTemplate(new JdkClientHttpRequestFactory(http)))
            .jwsAlgorithm(SignatureAlgorithm.ES256)
            .jwsAlgorithm(SignatureAlgorithm.RS256)
            // The default accepts the typ JWT alone, and answers 401 to a token of type at+jwt.
            .validateType(false)
            .jwtProcessorCustomizer(
                processor ->
                    processor.setJWSTypeVerifier(
                        new DefaultJOSEObjectTypeVerifier<>(new JOSEObjectType("at+jwt"))))
            .build();
    decoder.setJwtValidator(
        new DelegatingOAuth2TokenValidator<>(
            new JwtTimestampValidator(Duration.ofSeconds(30)), // by which two clocks may differ
            new JwtIssuerValidator(issuer),
            new JwtClaimValidator<List<String>>(
                JwtClaimNames.AUD, aud -> aud != null && aud.contains(audience)),
            new JwtClaimValidator<Object>(JwtClaimNames.EXP, exp -> exp != null),
            new JwtClaimValidator<String>("client_id", id -> id != null && !id.isEmpty())));
    return decoder;
  }
}
