// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package tokenserver

import (
	"context"

	"github.com/hallpass-dev/hallpass/internal/keyring"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
)

// question is what is asked about an access token.
type question struct {
	token string
	// asker is who answers for the look-ups that the question may cause.
	asker string
	// refuses says why a token that is good in itself is no business of the asker's, or "". It is asked before anything is
	// looked up, and what it refuses is refused whatever else is true.
	refuses func(oauth2.Claims) oauth2.Reason
}

// judgement is the answer: either why not, or what the token says and whose it is.
type judgement struct {
	denial oauth2.Reason
	claims oauth2.Claims
	client *oauth2.Client
}

// access decides whether an access token is good right now: the one function that introspection, forward-auth and ext_authz
// ask, so that what is taken back in one place is taken back in all. An error means that it cannot be decided, and is a
// refusal too.
func (s *Server) access(ctx context.Context, q question, e *event) (judgement, error) {
	claims, err := s.validate(ctx, q.token)
	if err != nil {
		return judgement{denial: oauth2.ReasonOf(err)}, nil
	}
	e.tokenID, e.subject, e.audience = claims.ID, claims.ClientID, claims.Audience
	if denial := q.refuses(claims); denial != "" {
		return judgement{denial: denial}, nil
	}
	record, err := s.tokenRecord(ctx, q.asker, claims)
	if err != nil {
		return judgement{}, err
	}
	if denial := record.TokenDenial(claims); denial != "" {
		return judgement{denial: denial}, nil
	}
	return judgement{claims: claims, client: record.Client}, nil
}

// validate reads a token by the keys in memory, or, where it names one that memory does not have, by those of the source. Of a
// token that was verified before it looks only at what may have changed.
func (s *Server) validate(ctx context.Context, token string) (oauth2.Claims, error) {
	claims, err := s.validateBy(s.Directory.Ring(), token)
	if oauth2.ReasonOf(err) == oauth2.ReasonTokenKeyUnknown {
		if ring, ok := s.lookups.ring(ctx); ok {
			claims, err = s.validateBy(ring, token)
		}
	}
	return claims, err
}

func (s *Server) validateBy(ring keyring.Ring, token string) (oauth2.Claims, error) {
	now := s.Now()
	if read, there := s.verified.get(token); there {
		return read.Claims, read.Check(ring, now)
	}
	read, err := s.Issuer.Verify(token, ring, now)
	if err != nil {
		return oauth2.Claims{}, err
	}
	if err = read.Check(ring, now); err == nil {
		s.verified.put(token, read)
	}
	return read.Claims, err
}

// tokenRecord is what is known of the client of a token. The token is ours, so where memory does not know the client, it was
// there a moment ago or is not in this replica's memory yet, and the source is asked.
func (s *Server) tokenRecord(ctx context.Context, asker string, claims oauth2.Claims) (oauth2.Record, error) {
	record := s.Directory.Record(claims.ClientID)
	if !record.Unknown(claims) {
		return record, nil
	}
	if _, ok := s.questions.take(throttleKey{asker, claims.ClientID}, s.Now()); !ok {
		return oauth2.Record{}, oauth2.Unavailable(lookupRetry)
	}
	return s.lookups.client(ctx, claims.ClientID)
}
