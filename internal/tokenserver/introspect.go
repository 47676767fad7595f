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
	said, err := s.access(r.Context(), question{
		token: token, asker: caller.ID, refuses: func(claims oauth2.Claims) oauth2.Reason { return s.notFor(caller, claims) },
	}, e)
	if err != nil {
		return answer{}, err
	}
	if said.denial != "" {
		e.denial = said.denial
		return answer{body: rawJSON(inactive)}, nil
	}
	claims := said.claims
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

// notFor refuses tokens that are no business of the caller's.
func (s *Server) notFor(caller *oauth2.Client, claims oauth2.Claims) oauth2.Reason {
	if !s.Issuer.MayIntrospect(caller, claims) {
		return oauth2.ReasonNotForCaller
	}
	return ""
}
