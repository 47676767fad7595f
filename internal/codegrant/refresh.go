// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package codegrant

import (
	"slices"
	"time"

	"github.com/hallpass-dev/hallpass/internal/oauth2"
)

// Grace is how long a refresh token that was replaced is accepted: a client may not have got the
// answer, or two of its processes may have refreshed at once.
const Grace = time.Minute

// Rotates reports whether each refresh replaces the refresh token: of a public client, because any
// program could use a copy (RFC 9700 section 2.2.2), and of one with a limit, so that refreshes
// count.
func Rotates(client *oauth2.Client) bool {
	return client.Credentials.Public || client.Codes != nil && client.Codes.Refresh.Limited
}

// Known is what is durable about the refresh tokens of a grant: those of an earlier generation than
// Generation are replaced, and are not accepted from From on. The zero value is a grant that was
// never refreshed. Ended means that the grant was revoked.
type Known struct {
	Generation uint32
	From       time.Time
	Ended      bool
}

// Outcome is what is done about a refresh token.
type Outcome uint8

const (
	// Refused means that nothing is done. The error has the reason.
	Refused Outcome = iota
	// Keep means that the refresh token stays in use: the response repeats it or has none.
	Keep
	// Rotate means that the generation of the next one is written, durably, with the instant
	// Grace from now; then the next one is issued.
	Rotate
	// Retry means that the refresh token was replaced within the last minute. The next one is
	// issued as it was for the first request, and nothing is written.
	Retry
	// Reuse means that the refresh token was replaced before that, so that two programs have
	// the grant. The grant is ended, and the error is the answer (RFC 9700 section 4.14.2).
	Reuse
)

// NewRefresh returns the first refresh token of a grant. ok is false if the client gets none.
func NewRefresh(code Code, limits oauth2.Refreshing, now time.Time) (r Refresh, ok bool) {
	if limits.Lifetime <= 0 || limits.Limited && limits.Max == 0 {
		return Refresh{}, false
	}
	began := wholeSeconds(now)
	return Refresh{
		Grant: code.Grant, ClientID: code.ClientID, ClientUID: code.ClientUID, Resource: code.Resource, Scopes: code.Scopes,
		Person: code.Person, IssuerUID: code.IssuerUID, Began: began, IssuedAt: began, ExpiresAt: wholeSeconds(began.Add(limits.Lifetime)),
	}, true
}

// Judge decides about a refresh token of a client that has authenticated, as far as the token, the
// limits and the grant itself are concerned. next is the refresh token of the response.
//
// A retry cannot be distinguished from a thief who is quick. Both get successors of one generation,
// so that the next refresh by either of them replaces the other's, and the use of that one ends the
// grant.
func (r Refresh) Judge(known Known, limits oauth2.Refreshing, rotates bool, now time.Time) (next Refresh, outcome Outcome, err error) {
	switch end := r.end(limits, rotates); {
	case known.Ended:
		return Refresh{}, Refused, refuseGrant(oauth2.ReasonGrantEnded, "the grant was revoked; let the person log in again")
	case !now.Before(end):
		return Refresh{}, Refused, refuseGrant(oauth2.ReasonRefreshExpired, "the refresh token has expired; let the person log in again")
	}
	replaced := r.Generation < known.Generation
	late := replaced && !now.Before(known.From)
	inGrace := r.Generation+1 == known.Generation || now.Before(r.IssuedAt.Add(Grace))
	// after the last refresh a client has no other token to send than the one it sent then
	last := late && r.Refreshes >= limits.Max-1
	switch {
	case limits.Limited && (last || r.Refreshes >= limits.Max):
		return Refresh{}, Refused, refuseGrant(oauth2.ReasonRefreshesUsedUp, "the grant was refreshed as often as the client may; let the person log in again")
	case late:
		return Refresh{}, Reuse, refuseGrant(oauth2.ReasonRefreshReused,
			"the refresh token was replaced before, so that it may be stolen, and its grant is revoked; let the person log in again")
	case replaced && !inGrace:
		return Refresh{}, Refused, refuseGrant(oauth2.ReasonRefreshReplaced, "the refresh token was replaced; use the one of the last response")
	case !rotates && !replaced:
		return r, Keep, nil
	}
	next = r
	next.Refreshes++
	next.IssuedAt = wholeSeconds(now)
	next.Generation = max(r.Generation+1, known.Generation)
	if replaced {
		return next, Retry, nil
	}
	return next, Rotate, nil
}

// end is when the refresh token expires: with its grant, by the limits that the client has now, or
// because it was not used for too long. A token that does not rotate does not record its use.
func (r Refresh) end(limits oauth2.Refreshing, rotates bool) time.Time {
	end := r.ExpiresAt
	if limit := r.Began.Add(limits.Lifetime); limit.Before(end) {
		end = limit
	}
	if idle := r.IssuedAt.Add(limits.Idle); rotates && limits.Idle > 0 && idle.Before(end) {
		end = idle
	}
	return end
}

// RefuseRefresh refuses a refresh token that does not open, or is that of another client.
func RefuseRefresh() error {
	return refuseGrant(oauth2.ReasonRefreshRefused, "the refresh token is not valid for this client; let the person log in again")
}

// Check decides whether the refresh token is that of a client.
func (r Refresh) Check(client *oauth2.Client) error {
	if client.ID != r.ClientID || client.UID != r.ClientUID {
		return RefuseRefresh()
	}
	return nil
}

// Refreshing is a request to refresh (RFC 6749 section 6) beside the authentication of its client.
type Refreshing struct {
	// Token is the sealed refresh token.
	Token oauth2.Secret
	// Scopes are those asked for; none means all of the grant.
	Scopes []string
	// Resource is empty, or that of the grant (RFC 8707 section 2.2).
	Resource string
}

// ParseRefreshing reads the parameters of a token request with grant type refresh_token.
func ParseRefreshing(form oauth2.Form) (Refreshing, error) {
	scopes, err := oauth2.ParseScope(form.Get("scope"))
	if err != nil {
		return Refreshing{}, err
	}
	resource, err := oauth2.ParseResource(form)
	if err != nil {
		return Refreshing{}, err
	}
	r := Refreshing{Token: oauth2.NewSecret(form.Get("refresh_token")), Scopes: scopes, Resource: resource}
	if r.Token.Empty() {
		return Refreshing{}, refuseRequest("refresh_token is missing; send that of the last response")
	}
	return r, nil
}

// Request is what is granted for the refresh token: what is asked for, which must be of the grant,
// or all of the grant as far as it is granted yet. The next refresh token has all of it.
func (r Refresh) Request(asked Refreshing) (oauth2.TokenRequest, error) {
	request := oauth2.TokenRequest{GrantType: oauth2.AuthorizationCode, Resource: r.Resource, Person: r.Person, Within: r.Scopes}
	if asked.Resource != "" && asked.Resource != r.Resource {
		return oauth2.TokenRequest{}, refuseTarget()
	}
	request.Scopes = oauth2.WithoutIdentityScopes(asked.Scopes, r.Scopes)
	if slices.ContainsFunc(request.Scopes, func(scope string) bool { return !slices.Contains(r.Scopes, scope) }) {
		return oauth2.TokenRequest{}, oauth2.Refuse(oauth2.InvalidScope, oauth2.ReasonScopeNotGranted,
			"the person did not log in for all of these scopes; leave out scope for those of the grant")
	}
	return request, nil
}
