// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package tokenserver

import (
	"context"
	"net/http"
	"time"

	"github.com/hallpass-dev/hallpass/internal/answer"
	"github.com/hallpass-dev/hallpass/internal/auth"
	"github.com/hallpass-dev/hallpass/internal/budget"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
	"github.com/hallpass-dev/hallpass/internal/revocation"
	"github.com/hallpass-dev/hallpass/internal/seal"
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
// at the token endpoint, or a public client. A refresh token, and an access token that was issued
// for a code or a refresh token, end all of their grant (section 2.1). A string that is no valid
// token counts as revoked (section 2.2). token_type_hint is ignored, because the token itself has
// its type (section 2.1). 200 means that the revocation is durable.
type revokeEndpoint struct {
	authority *auth.Authority
	rate      *clientRate
	waiting   *budget.Places // by namespace
	people    bool           // whether public clients and refresh tokens are served
}

func (e *revokeEndpoint) serve(r *http.Request, in request) (answer.Answer, auth.Trail, error) {
	credentials := in.credentials(r, e.rate)
	credentials.Public = e.people
	caller, err := e.authority.Authenticate(r.Context(), credentials)
	trail := caller.Trail
	if err != nil {
		return answer.Answer{}, trail, err
	}
	token := in.form.Get("token")
	if token == "" {
		return answer.Answer{}, trail, errNoToken
	}
	if e.people && seal.Looks(token) {
		return e.serveRefresh(r.Context(), &caller, oauth2.NewSecret(token))
	}
	read, err := e.authority.Read(r.Context(), &auth.Request{Token: token, Payer: caller.Payer(), At: caller.At})
	if err != nil {
		return answer.Answer{}, trail, err
	}
	if trail.Denial = read.Denial; trail.Denial != "" {
		return answer.Private("", nil), trail, nil
	}
	claims := read.Claims
	trail.Token.ID, trail.Token.ClientID, trail.Token.Audience = claims.ID, claims.ClientID, claims.Audience
	switch {
	case claims.ClientID != caller.Client.ID:
		return answer.Answer{}, trail, oauth2.Refuse(oauth2.UnauthorizedClient, oauth2.ReasonTokenOfAnother, "the token was issued to another client, which alone can revoke it here")
	case claims.ClientUID != caller.Client.UID:
		trail.Denial = oauth2.ReasonTokenClientChanged
		return answer.Private("", nil), trail, nil
	}
	if err := caller.Proven(claims.Person()); err != nil {
		return answer.Answer{}, trail, err
	}
	trail.Used, trail.GrantID, trail.Token.Subject = caller.Trail.Used, claims.GrantID, claims.Person().String()
	return e.revoke(r.Context(), &caller, trail, auth.Revoked(claims), read.At)
}

// serveRefresh ends the grant of a refresh token. One that is not accepted any more counts as
// revoked.
func (e *revokeEndpoint) serveRefresh(ctx context.Context, caller *auth.Caller, token oauth2.Secret) (answer.Answer, auth.Trail, error) {
	revoked, denial, err := auth.Grants{Authority: e.authority}.RevokedRefresh(caller, token)
	trail := caller.Trail
	if err != nil {
		return answer.Answer{}, trail, err
	}
	if trail.Denial = denial; denial != "" {
		return answer.Private("", nil), trail, nil
	}
	return e.revoke(ctx, caller, trail, revoked, caller.At)
}

// revoke revokes a token or a grant of a caller, and answers once that is durable.
func (e *revokeEndpoint) revoke(
	ctx context.Context, caller *auth.Caller, trail auth.Trail, revoked revocation.Entry, at time.Time,
) (answer.Answer, auth.Trail, error) {
	client := revocation.Client{ID: caller.Client.ID, Namespace: caller.Client.Namespace}
	revocations := e.authority.Directory.Revocations()
	room := revocations.Room(revoked, client)
	if trail.GrantID != "" && revoked.ID == revocation.IDOf(trail.GrantID) {
		room = revocations.RoomToEnd(revoked.ID, client)
	}
	if room != nil {
		return answer.Answer{}, trail, room
	}
	if !e.waiting.Enter(client.Namespace) {
		return answer.Answer{}, trail, auth.Overloaded()
	}
	defer e.waiting.Leave(client.Namespace)
	revocations.Revoke(revoked, client, at)
	if err := e.authority.Journal.Revoke(ctx, revoked, client); err != nil {
		return answer.Answer{}, trail, err
	}
	trail.Revoked = true
	return answer.Private("", nil), trail, nil
}
