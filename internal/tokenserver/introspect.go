// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package tokenserver

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"

	"github.com/hallpass-dev/hallpass/internal/oauth2"
)

// inactive is the one answer to every token that is not, or not for this caller (RFC 7662 section 2.2).
const inactive = `{"active":false}`

// introspectionAnswer describes an active token (RFC 7662 section 2.2). client_uid is ours.
type introspectionAnswer struct {
	Active    bool   `json:"active"`
	Issuer    string `json:"iss"`
	Subject   string `json:"sub"`
	Audience  string `json:"aud"`
	ClientID  string `json:"client_id"`
	ClientUID string `json:"client_uid"`
	Scope     string `json:"scope"`
	TokenType string `json:"token_type"`
	ID        string `json:"jti"`
	IssuedAt  int64  `json:"iat"`
	ExpiresAt int64  `json:"exp"`
}

// introspect is the introspection endpoint: RFC 7662. The caller is a client that authenticates as at the token endpoint.
func (s *Server) introspect(r *http.Request, form oauth2.Form, e *event) (answer, error) {
	caller, err := s.authenticate(r, form, e)
	if err != nil {
		return answer{}, err
	}
	token := form.Get("token")
	if token == "" {
		return answer{}, oauth2.Refuse(oauth2.InvalidRequest, oauth2.ReasonMalformedRequest, "token is missing")
	}
	claims, denial, err := s.inspect(r, caller, token, e)
	if err != nil {
		return answer{}, err
	}
	if denial != "" {
		e.denial = denial
		return answer{body: rawJSON(inactive)}, nil
	}
	body, err := json.Marshal(introspectionAnswer{
		Active: true, Issuer: claims.Issuer, Subject: claims.Subject, Audience: claims.Audience,
		ClientID: claims.ClientID, ClientUID: claims.ClientUID, Scope: strings.Join(claims.Scopes, " "), TokenType: "Bearer",
		ID: claims.ID, IssuedAt: claims.IssuedAt.Unix(), ExpiresAt: claims.ExpiresAt.Unix(),
	})
	if err != nil {
		return answer{}, fmt.Errorf("encode what a token says: %w", err)
	}
	if body, err = oauth2.AppendClaims(body, claims.Custom); err != nil {
		return answer{}, err
	}
	return answer{body: rawJSON(body)}, nil
}

// inspect decides whether a token is good now and the caller's business. An error means that it cannot be decided.
func (s *Server) inspect(r *http.Request, caller *oauth2.Client, token string, e *event) (oauth2.Claims, oauth2.Reason, error) {
	claims, err := s.Issuer.Validate(token, s.Directory.Ring(), s.Now())
	if oauth2.ReasonOf(err) == oauth2.ReasonTokenKeyUnknown {
		if ring, ok := s.lookups.ring(r.Context()); ok {
			claims, err = s.Issuer.Validate(token, ring, s.Now())
		}
	}
	if err != nil {
		return oauth2.Claims{}, oauth2.ReasonOf(err), nil
	}
	e.tokenID, e.subject, e.audience = claims.ID, claims.ClientID, claims.Audience
	if !s.Issuer.MayIntrospect(caller, claims) {
		return oauth2.Claims{}, oauth2.ReasonNotForCaller, nil
	}
	record := s.Directory.Record(claims.ClientID)
	if record.Unknown(claims) {
		// The token is ours, so its client was there a moment ago, or is not yet in this replica's memory.
		if _, ok := s.questions.take(throttleKey{caller.ID, claims.ClientID}, s.Now()); !ok {
			return oauth2.Claims{}, "", oauth2.Unavailable(lookupRetry)
		}
		if record, err = s.lookups.client(r.Context(), claims.ClientID); err != nil {
			return oauth2.Claims{}, "", err
		}
	}
	return claims, record.TokenDenial(claims), nil
}
