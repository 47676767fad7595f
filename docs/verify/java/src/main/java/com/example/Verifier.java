// Reads a token a line and prints who may pass. A web application has a SecurityFilterChain in the
// place of it: requests.anyRequest().hasAuthority("SCOPE_read").
package com.example;

import java.util.Scanner;
import org.springframework.boot.CommandLineRunner;
import org.springframework.boot.SpringApplication;
import org.springframework.boot.autoconfigure.SpringBootApplication;
import org.springframework.context.annotation.Bean;
import org.springframework.security.core.authority.SimpleGrantedAuthority;
import org.springframework.security.oauth2.jwt.JwtDecoder;
import org.springframework.security.oauth2.jwt.JwtException;
import org.springframework.security.oauth2.server.resource.authentication.JwtGrantedAuthoritiesConverter;

@SpringBootApplication
public class Verifier {
  public static void main(String[] arguments) {
    SpringApplication.run(Verifier.class, arguments);
  }

  @Bean
  CommandLineRunner verify(JwtDecoder decoder) {
    return arguments -> {
      var lines = new Scanner(System.in);
      while (lines.hasNextLine()) {
        System.out.println(verify(decoder, lines.nextLine(), "read"));
      }
    };
  }

  private static String verify(JwtDecoder decoder, String token, String scope) {
    try {
      var jwt = decoder.decode(token);
      // The words of the claim scope become authorities, as in a SecurityFilterChain.
      var authorities = new JwtGrantedAuthoritiesConverter().convert(jwt);
      if (!authorities.contains(new SimpleGrantedAuthority("SCOPE_" + scope))) {
        return "refused";
      }
      return "passed " + jwt.getClaimAsString("client_id") + " " + jwt.getClaimAsString("client_uid");
    } catch (JwtException | IllegalArgumentException e) {
      return "refused";
    }
  }
}
