// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package tokenserver

import (
	"net/http"
	"time"

	"github.com/hallpass-dev/hallpass/internal/answer"
	"github.com/hallpass-dev/hallpass/internal/auth"
	"github.com/hallpass-dev/hallpass/internal/budget"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
	"github.com/hallpass-dev/hallpass/internal/revocation"
)

const (
	// maxRevoking is how many callers wait for a write at once: fewer than may be worked on, so
	// that there is room for everybody else.
	maxRevoking = auth.DefaultMaxInFlight / 2
	// lentRevoking is how many of them namespaces may have beyond their shares, of
	// revokingShare each.
	lentRevoking  = maxRevoking * 3 / 4
	revokingShare = 4
)

// revokeEndpoint is the revocation endpoint: RFC 7009. The caller is a client that authenticates as
// at the token endpoint. A string that is no valid token counts as revoked (section 2.2).
// token_type_hint is ignored, because the token itself has its type (section 2.1). 200 means that
// the revocation is durable.
type revokeEndpoint struct {
	authority *auth.Authority
	limit     *budget.Budget // by client
	waiting   *budget.Places // by namespace
}

// Admit refuses a client that revokes tokens too fast.
func (e *revokeEndpoint) Admit(client *oauth2.Client, at time.Time) error {
	if d := e.limit.Take(at, budget.Key{Who: client.ID}); !d.OK {
		return auth.Throttled(d.Wait, "this client revokes tokens faster than it may; try again after Retry-After")
	}
	return nil
}

func (e *revokeEndpoint) serve(r *http.Request, in request) (answer.Answer, auth.Trail, error) {
	caller, err := e.authority.Authenticate(r.Context(), in.credentials(r, e))
	trail := caller.Trail
	if err != nil {
		return answer.Answer{}, trail, err
	}
	token := in.form.Get("token")
	if token == "" {
		return answer.Answer{}, trail, errNoToken
	}
	read, err := e.authority.Read(r.Context(), &auth.Request{Token: token, Payer: auth.PaidBy(caller.Client), At: caller.At})
	if err != nil {
		return answer.Answer{}, trail, err
	}
	if trail.Denial = read.Denial; trail.Denial != "" {
		return answer.Private("", nil), trail, nil
	}
	claims := read.Claims
	trail.TokenID, trail.TokenClientID, trail.Audience = claims.ID, claims.ClientID, claims.Audience
	switch {
	case claims.ClientID != caller.Client.ID:
		return answer.Answer{}, trail, oauth2.Refuse(oauth2.UnauthorizedClient, oauth2.ReasonTokenOfAnother, "the token was issued to another client, which alone can revoke it here")
	case claims.ClientUID != caller.Client.UID:
		trail.Denial = oauth2.ReasonTokenClientChanged
		return answer.Private("", nil), trail, nil
	}
	client := revocation.Client{ID: caller.Client.ID, Namespace: caller.Client.Namespace}
	revocations := e.authority.Directory.Revocations()
	revoked := revocation.EntryOf(claims)
	if err := revocations.Room(revoked, client); err != nil {
		return answer.Answer{}, trail, err
	}
	if !e.waiting.Enter(client.Namespace) {
		return answer.Answer{}, trail, auth.Overloaded()
	}
	defer e.waiting.Leave(client.Namespace)
	revocations.Revoke(revoked, client, read.At)
	if err := e.authority.Journal.Revoke(r.Context(), revoked, client); err != nil {
		return answer.Answer{}, trail, err
	}
	trail.Revoked = true
	return answer.Private("", nil), trail, nil
}
