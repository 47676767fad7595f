// Verifies access tokens with Spring Security (6.2 or later), as the decoder of a resource server. Not run in the tests: judged by the library's
// documentation. The CA of Hallpass has to be in the trust store: -Djavax.net.ssl.trustStore=… or an SSL bundle of Spring Boot.
package com.example;

import com.nimbusds.jose.JOSEObjectType;
import com.nimbusds.jose.proc.DefaultJOSEObjectTypeVerifier;
import java.time.Duration;
import java.util.List;
import org.springframework.beans.factory.annotation.Value;
import org.springframework.context.annotation.Bean;
import org.springframework.context.annotation.Configuration;
import org.springframework.security.oauth2.core.DelegatingOAuth2TokenValidator;
import org.springframework.security.oauth2.jwt.JwtClaimNames;
import org.springframework.security.oauth2.jwt.JwtClaimValidator;
import org.springframework.security.oauth2.jwt.JwtDecoder;
import org.springframework.security.oauth2.jwt.JwtIssuerValidator;
import org.springframework.security.oauth2.jwt.JwtTimestampValidator;
import org.springframework.security.oauth2.jwt.NimbusJwtDecoder;

@Configuration
class ResourceServer {
  @Bean
  JwtDecoder decoder(@Value("${hallpass.issuer}") String issuer, @Value("${hallpass.audience}") String audience) {
    NimbusJwtDecoder decoder =
        NimbusJwtDecoder.withJwkSetUri(issuer + "/oauth2/jwks")
            .jwsAlgorithms(
                algorithms -> {
                  algorithms.add(org.springframework.security.oauth2.jose.jws.SignatureAlgorithm.ES256);
                  algorithms.add(org.springframework.security.oauth2.jose.jws.SignatureAlgorithm.RS256);
                })
            // By default the library takes no typ or JWT, and refuses at+jwt (RFC 9068 section 2.1).
            .jwtProcessorCustomizer(
                processor ->
                    processor.setJWSTypeVerifier(
                        new DefaultJOSEObjectTypeVerifier<>(new JOSEObjectType("at+jwt"))))
            .build();
    decoder.setJwtValidator(
        new DelegatingOAuth2TokenValidator<>(
            new JwtTimestampValidator(Duration.ofSeconds(30)),
            new JwtIssuerValidator(issuer),
            new JwtClaimValidator<List<String>>(JwtClaimNames.AUD, aud -> aud != null && aud.contains(audience)),
            new JwtClaimValidator<Object>(JwtClaimNames.EXP, exp -> exp != null)));
    return decoder;
  }
}
