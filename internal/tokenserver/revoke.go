// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package tokenserver

import (
	"context"
	"net/http"

	"github.com/hallpass-dev/hallpass/internal/budget"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
	"github.com/hallpass-dev/hallpass/internal/revocation"
)

// maxRevoking is how many callers wait for a write at once: fewer than may be worked on, so that there is room for everybody else.
const maxRevoking = DefaultMaxInFlight / 2

// revoke is the revocation endpoint: RFC 7009. The caller is a client that authenticates as at the token endpoint. A token that
// is none, or none any more, is as good as revoked (section 2.2). token_type_hint says nothing that the token does not say
// itself, so any is taken and none is needed (section 2.1). 200 means that the revocation survives the end of every process.
func (s *Server) revoke(r *http.Request, form oauth2.Form, e *event) (answer, error) {
	record, err := s.authenticate(r, form, e)
	if err != nil {
		return answer{}, err
	}
	caller := record.Client
	token := form.Get("token")
	if token == "" {
		return answer{}, oauth2.Refuse(oauth2.InvalidRequest, oauth2.ReasonMalformedRequest, "token is missing")
	}
	if d := s.revocations.Take(e.now, budget.Key{What: caller.ID}); !d.OK {
		return answer{}, throttled(d.Wait, "this client revokes tokens faster than it may")
	}
	claims, err := s.validate(r.Context(), question{token: token, asker: caller.ID}, e)
	if oauth2.ReasonOf(err) == oauth2.ReasonLookupUnavailable {
		return answer{}, err
	}
	if err != nil {
		e.denial = oauth2.ReasonOf(err)
		return answer{body: rawJSON(nil)}, nil
	}
	e.tokenID, e.subject, e.audience = claims.ID, claims.ClientID, claims.Audience
	switch {
	case claims.ClientID != caller.ID:
		return answer{}, oauth2.Refuse(oauth2.UnauthorizedClient, oauth2.ReasonTokenOfAnother, "the token was issued to another client")
	case claims.ClientUID != caller.UID:
		e.denial = oauth2.ReasonTokenClientChanged
		return answer{body: rawJSON(nil)}, nil
	}
	if !s.revoking.Enter() {
		return answer{}, overloaded()
	}
	defer s.revoking.Leave()
	revoked := revocation.NewEntry(revocation.IDOf(claims.ID), claims.ExpiresAt)
	s.Directory.Revocations().Revoke(revoked, e.now)
	if err := s.journal.Revoke(r.Context(), revoked); err != nil {
		return answer{}, err
	}
	e.revoked = true
	return answer{body: rawJSON(nil)}, nil
}

// Run writes the revocations that the endpoint takes, until the context ends; what is left then it still tries to write.
func (s *Server) Run(ctx context.Context) { s.journal.Run(ctx) }
