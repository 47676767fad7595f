// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package tokenserver

import (
	"context"
	"time"

	"github.com/hallpass-dev/hallpass/internal/budget"
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
	refuses func(context.Context, oauth2.Claims) oauth2.Reason
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
	claims, err := s.validate(ctx, q, e)
	e.tokenID, e.subject, e.audience = claims.ID, claims.ClientID, claims.Audience // all empty unless it is verifiably ours
	e.used.tokenOf, e.used.token = claims.ClientUID, claims.TokenUID
	if oauth2.ReasonOf(err) == oauth2.ReasonLookupUnavailable {
		return judgement{}, err
	}
	if err != nil {
		return judgement{denial: oauth2.ReasonOf(err)}, nil
	}
	if denial := q.refuses(ctx, claims); denial != "" {
		return judgement{denial: denial}, nil
	}
	record, err := s.tokenRecord(ctx, q.asker, claims, e)
	if err != nil {
		return judgement{}, err
	}
	if denial := record.TokenDenial(claims); denial != "" {
		return judgement{denial: denial}, nil
	}
	if s.Directory.Revocations().Revoked(claims, record.Client.Namespace, e.now) {
		return judgement{denial: oauth2.ReasonTokenRevoked}, nil
	}
	if claims.TokenUID != "" {
		minted, denial, err := s.minted(ctx, q.asker, claims, record.Client, e)
		if err != nil || denial != "" {
			return judgement{denial: denial}, err
		}
		claims = minted
	}
	narrowed, denial := s.narrow(ctx, claims, record.Client, budget.Key{Who: q.asker, What: claims.ClientID}, e)
	if denial == "" && len(narrowed.Scopes) < len(claims.Scopes) {
		denial = q.refuses(ctx, narrowed) // a scope that was withdrawn is one that is missing
	}
	return judgement{denial: denial, claims: narrowed, client: record.Client}, nil
}

// memoryLag is how long after a token was issued a replica may not have heard of the grant behind it.
const memoryLag = 10 * time.Second

// narrow cuts what a token says to what its client is granted now, or says why nothing is left. Where memory grants less than a
// token says that another replica issued a moment ago, that one may have known more.
func (s *Server) narrow(ctx context.Context, claims oauth2.Claims, client *oauth2.Client, asker budget.Key, e *event) (oauth2.Claims, oauth2.Reason) {
	narrowed, denial := s.Issuer.Narrow(claims, client, s.Directory)
	if len(narrowed.Scopes) == len(claims.Scopes) && denial == "" || e.now.Sub(claims.IssuedAt) > memoryLag {
		return narrowed, denial
	}
	record, resources, ok := s.ask(ctx, claims.ClientID, claims.Audience, asker, e)
	if !ok || record.TokenDenial(claims) != "" {
		return narrowed, denial
	}
	return s.Issuer.Narrow(claims, record.Client, resources)
}

// resources finds the resource of a token's audience: in memory, or at the source if memory may not have heard of it yet.
func (s *Server) resources(ctx context.Context, claims oauth2.Claims, asker budget.Key, e *event) lookedUp {
	memory := lookedUp{Resources: s.Directory}
	if s.Directory.ResourceByIdentifier(claims.Audience) != nil || e.now.Sub(claims.IssuedAt) > memoryLag {
		return memory
	}
	if !s.questions.Take(e.now, asker).OK {
		return memory
	}
	defer s.waited(e)
	return s.lookups.resource(ctx, claims.Audience)
}

// ask has the source say once more what memory refuses, within the asker's budget. Without it, or without an answer, what memory
// says stands: a client that asks for what it is not granted must not draw on the API server for ever.
func (s *Server) ask(ctx context.Context, clientID, identifier string, asker budget.Key, e *event) (oauth2.Record, lookedUp, bool) {
	if !s.questions.Take(e.now, asker).OK {
		return oauth2.Record{}, lookedUp{}, false
	}
	if !s.lookups.grants.Take(e.now, budget.Key{}).OK {
		return oauth2.Record{}, lookedUp{}, false
	}
	defer s.waited(e)
	record, err := s.lookups.client(ctx, clientID)
	if err != nil || record.Denial() != "" {
		return oauth2.Record{}, lookedUp{}, false
	}
	return record, s.lookups.resource(ctx, identifier), true
}

// validate reads a token by the keys in memory, or, where it names one that memory does not have, by those of the source. Of a
// token that was verified before it looks only at what may have changed.
func (s *Server) validate(ctx context.Context, q question, e *event) (oauth2.Claims, error) {
	if opaque, err := oauth2.ParseOpaqueToken(oauth2.NewSecret(q.token)); err == nil {
		return s.validateOpaque(ctx, q.asker, opaque, e)
	}
	claims, err := s.validateBy(s.Directory.Ring(), q.token, e.now)
	if oauth2.ReasonOf(err) == oauth2.ReasonTokenKeyUnknown {
		if ring, ok := s.lookups.ring(ctx); ok {
			s.waited(e)
			claims, err = s.validateBy(ring, q.token, e.now)
		}
	}
	return claims, err
}

func (s *Server) validateBy(ring keyring.Ring, token string, now time.Time) (oauth2.Claims, error) {
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
func (s *Server) tokenRecord(ctx context.Context, asker string, claims oauth2.Claims, e *event) (oauth2.Record, error) {
	record := s.Directory.Record(claims.ClientID)
	if !record.Unknown(claims) {
		return record, nil
	}
	if !s.questions.Take(e.now, budget.Key{Who: asker, What: claims.ClientID}).OK {
		return oauth2.Record{}, oauth2.Unavailable(lookupRetry)
	}
	defer s.waited(e)
	return s.lookups.client(ctx, claims.ClientID)
}
