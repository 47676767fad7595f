// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package com.example;

import java.util.Objects;
import org.apache.kafka.common.security.oauthbearer.BrokerJwtValidator;
import org.apache.kafka.common.security.oauthbearer.JwtValidatorException;
import org.apache.kafka.common.security.oauthbearer.OAuthBearerToken;
import org.jose4j.jwt.consumer.InvalidJwtException;
import org.jose4j.jwt.consumer.JwtConsumer;
import org.jose4j.jwt.consumer.JwtConsumerBuilder;
import org.jose4j.jwt.consumer.JwtContext;

/**
 * Accepts of the tokens that Kafka's own validator accepts those that are access tokens (RFC 9068)
 * in which a client acts for itself. Kafka looks at neither.
 */
public class AccessTokenValidator extends BrokerJwtValidator {
    private static final String TYPE = "at+jwt";

    /** Reads a token whose signature and claims were verified before. */
    private static final JwtConsumer READER = new JwtConsumerBuilder().setSkipAllValidators().setSkipSignatureVerification().build();

    @Override
    public OAuthBearerToken validate(String jwt) throws JwtValidatorException {
        OAuthBearerToken token = super.validate(jwt);
        try {
            JwtContext read = READER.process(jwt);
            if (!TYPE.equals(read.getJoseObjects().get(0).getHeader("typ"))) {
                throw new JwtValidatorException("the token is of another type");
            }
            if (!Objects.equals(read.getJwtClaims().getClaimValue("sub"), read.getJwtClaims().getClaimValue("client_id"))) {
                throw new JwtValidatorException("the client does not act for itself");
            }
        } catch (InvalidJwtException e) {
            throw new JwtValidatorException(e);
        }
        return token;
    }
}
