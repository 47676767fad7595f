// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package tokenserver

import (
	"context"
	"net/http"
	"strings"
	"time"

	"github.com/hallpass-dev/hallpass/internal/budget"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
)

// token is the token endpoint: RFC 6749 section 4.4.
func (s *Server) token(r *http.Request, form oauth2.Form, e *event) (answer, error) {
	record, err := s.authenticate(r, form, e)
	if err != nil {
		return answer{}, err
	}
	client := record.Client
	if d := s.successes.Take(e.now, budget.Key{What: client.ID}); !d.OK {
		return answer{}, throttled(d.Wait, "this client fetches tokens faster than it may; keep a token until it expires")
	}
	request, err := oauth2.ParseTokenRequest(form)
	if err != nil {
		return answer{}, err
	}
	grant, err := s.grant(r.Context(), client, request, e)
	if err != nil {
		return answer{}, err
	}
	issuedAt, err := s.issueAt(record, e.now)
	if err != nil {
		return answer{}, err
	}
	key, err := oauth2.SigningKey(client, s.Directory.Ring(), e.now)
	if err != nil {
		return answer{}, err
	}
	token, err := s.Issuer.Issue(client, grant, key, issuedAt, s.Random)
	if err != nil {
		return answer{}, err
	}
	s.verified.put(token.Value.Reveal(), token.Verified)
	e.tokenID, e.audience, e.scope = token.Claims.ID, token.Claims.Audience, strings.Join(token.Claims.Scopes, " ")
	return answer{body: rawJSON(token.Answer())}, nil
}

// issueAt is the instant that a token of the client says it was issued at.
func (s *Server) issueAt(record oauth2.Record, now time.Time) (time.Time, error) {
	client := record.Client
	return oauth2.IssueAt(now, record.RevokedBefore(), s.Directory.Revocations().RevokedBefore(client.ID, client.Namespace))
}

// grant decides what the client gets. What memory refuses for want of a grant it asks the source about: a client may have been
// given one a moment ago.
func (s *Server) grant(ctx context.Context, client *oauth2.Client, request oauth2.TokenRequest, e *event) (oauth2.Grant, error) {
	grant, err := s.Issuer.Grant(client, request, s.Directory)
	if reason := oauth2.ReasonOf(err); reason != oauth2.ReasonTargetNotGranted && reason != oauth2.ReasonScopeNotGranted {
		return grant, err
	}
	identifier := request.Resource
	if identifier == "" {
		identifier = s.Issuer.ResourceIdentifier(client.DefaultResource)
		if known := s.Directory.Resource(client.DefaultResource); known != nil {
			identifier = known.Identifier
		}
	}
	record, resources, ok := s.ask(ctx, client.ID, identifier, budget.Key{What: client.ID}, e)
	if !ok || record.Client.UID != client.UID {
		return oauth2.Grant{}, err
	}
	return s.Issuer.Grant(record.Client, request, resources)
}
