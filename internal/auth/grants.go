// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package auth

import (
	"context"
	"crypto/rand"
	"slices"
	"time"

	"github.com/hallpass-dev/hallpass/internal/codegrant"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
	"github.com/hallpass-dev/hallpass/internal/revocation"
	"github.com/hallpass-dev/hallpass/internal/seal"
)

// Redeem issues the tokens of an authorization code: RFC 6749 section 4.1.3. What can be checked
// without a write is checked first, so that a caller who lacks the verifier uses no code up. The
// second use of a code ends its grant.
func (a *Authority) Redeem(ctx context.Context, caller *Caller, request oauth2.CodeRequest) (Issued, error) {
	refused := func(err error) (Issued, error) { return Issued{Trail: caller.Trail}, err }
	code, err := a.openCode(caller.Client, request, caller.At)
	if err != nil {
		return refused(err)
	}
	caller.Trail.Subject, caller.Trail.GrantID = code.Person.String(), code.Grant
	if err := caller.Proven(code.Person); err != nil {
		return refused(err)
	}
	asked := oauth2.TokenRequest{
		GrantType: oauth2.AuthorizationCode, Resource: code.Resource, Person: code.Person, Within: code.Scopes, GrantID: code.Grant,
	}
	if err := a.goesOn(ctx, caller, asked, code.ExpiresAt.Add(-codegrant.CodeLifetime), code.IssuerUID); err != nil {
		return refused(err)
	}
	of := revocation.Client{ID: caller.Client.ID, Namespace: caller.Client.Namespace}
	first, err := a.Directory.Redeem(ctx, revocation.Redemption{
		CodeID: code.ID, GrantID: code.Grant, Attempt: rand.Text(), Client: of, ExpiresAt: code.ExpiresAt,
	})
	switch {
	case err != nil:
		return refused(err)
	case !first:
		if err := a.endGrant(ctx, code.Grant, endOf(caller.Client, code, caller.At), of, caller.At); err != nil {
			return refused(err)
		}
		return refused(oauth2.Refuse(oauth2.InvalidGrant, oauth2.ReasonCodeUsed, "the code was used before; its tokens are revoked, and the person has to log in again"))
	}
	issued, err := a.issue(ctx, caller, asked, nil, nil)
	if err != nil {
		return issued, err
	}
	return a.withRefresh(issued, caller.Client, codegrant.Refresh{
		Grant: code.Grant, ClientID: code.ClientID, ClientUID: code.ClientUID, Resource: code.Resource, Scopes: slices.Clone(issued.Claims.Scopes),
		Person: code.Person, IssuerUID: code.IssuerUID, Began: issued.Claims.IssuedAt, IssuedAt: issued.Claims.IssuedAt,
		ExpiresAt: issued.Claims.IssuedAt.Add(refreshing(caller.Client).Lifetime),
	})
}

// openCode opens a code and checks what the client has to prove.
func (a *Authority) openCode(client *oauth2.Client, request oauth2.CodeRequest, at time.Time) (code codegrant.Code, err error) {
	value, err := a.Directory.Sealing().Open(seal.Code, a.Issuer.String(), request.Code.Reveal())
	if err == nil {
		code, err = codegrant.DecodeCode(value)
	}
	refuse := func(reason oauth2.Reason, description string) (codegrant.Code, error) {
		return codegrant.Code{}, oauth2.Refuse(oauth2.InvalidGrant, reason, description)
	}
	switch {
	case err != nil:
		return refuse(oauth2.ReasonCodeRefused, "the code is none of this issuer's")
	case code.ClientID != client.ID, code.ClientUID != client.UID:
		return refuse(oauth2.ReasonCodeRefused, "the code was issued to another client")
	case request.RedirectURI != "" && request.RedirectURI != code.RedirectURI:
		return refuse(oauth2.ReasonCodeRefused, "redirect_uri is not that of the authorization request; send the same")
	case !codegrant.ProvesVerifier(code.Challenge, request.Verifier.Reveal()):
		return refuse(oauth2.ReasonWrongVerifier, "code_verifier is not that of the code_challenge of the authorization request")
	case !at.Before(code.ExpiresAt):
		return refuse(oauth2.ReasonCodeExpired, "the code has expired; it is valid for a minute")
	case request.Resource != "" && request.Resource != code.Resource:
		return codegrant.Code{}, otherResource()
	}
	return code, nil
}

func otherResource() *oauth2.Error {
	return oauth2.Refuse(oauth2.InvalidTarget, oauth2.ReasonTargetNotGranted,
		"the person has let the client have another resource; send that one, or leave out resource")
}

// Refresh issues the tokens of a refresh token: RFC 6749 section 6. Where the refresh token is
// replaced, the generation of its successor is durable before that is answered.
func (a *Authority) Refresh(ctx context.Context, caller *Caller, request oauth2.RefreshRequest) (Issued, error) {
	refused := func(err error) (Issued, error) { return Issued{Trail: caller.Trail}, err }
	token, err := a.openRefresh(request.Token)
	if err != nil {
		return refused(err)
	}
	if token.ClientID != caller.Client.ID || token.ClientUID != caller.Client.UID {
		return refused(oauth2.Refuse(oauth2.InvalidGrant, oauth2.ReasonRefreshRefused, "the refresh token was issued to another client"))
	}
	caller.Trail.Subject, caller.Trail.GrantID = token.Person.String(), token.Grant
	if err := caller.Proven(token.Person); err != nil {
		return refused(err)
	}
	asked := oauth2.TokenRequest{
		GrantType: oauth2.AuthorizationCode, Scopes: request.Scopes, Resource: token.Resource, Person: token.Person, Within: token.Scopes, GrantID: token.Grant,
	}
	switch {
	case request.Resource != "" && request.Resource != token.Resource:
		return refused(otherResource())
	case !within(request.Scopes, token.Scopes):
		return refused(oauth2.Refuse(oauth2.InvalidScope, oauth2.ReasonScopeNotGranted, "the person has not let the client have all scopes of the request; leave out scope for those that it has"))
	}
	if err := a.goesOn(ctx, caller, asked, token.Began, token.IssuerUID); err != nil {
		return refused(err)
	}
	return a.refresh(ctx, caller, token, asked)
}

func within(scopes, of []string) bool {
	return !slices.ContainsFunc(scopes, func(scope string) bool { return !slices.Contains(of, scope) })
}

// openRefresh opens a refresh token.
func (a *Authority) openRefresh(sealed oauth2.Secret) (token codegrant.Refresh, err error) {
	value, err := a.Directory.Sealing().Open(seal.Refresh, a.Issuer.String(), sealed.Reveal())
	if err == nil {
		token, err = codegrant.DecodeRefresh(value)
	}
	if err != nil {
		return token, oauth2.Refuse(oauth2.InvalidGrant, oauth2.ReasonRefreshRefused, "the refresh token is none of this issuer's; the person has to log in again")
	}
	return token, nil
}

// refresh decides about a refresh token of a grant that goes on.
func (a *Authority) refresh(ctx context.Context, caller *Caller, token codegrant.Refresh, asked oauth2.TokenRequest) (Issued, error) {
	client, at := caller.Client, caller.At
	of := revocation.Client{ID: client.ID, Namespace: client.Namespace}
	id, revocations := revocation.IDOf(token.Grant), a.Directory.Revocations()
	limits := refreshing(client)
	next, outcome, err := token.Judge(known(revocations, id, at), limits, client.Credentials.Public || limits.Limited, at)
	if outcome == codegrant.Reuse {
		if err := a.endGrant(ctx, token.Grant, oauth2.Later(token.ExpiresAt, at.Add(oauth2.MaxTokenLifetime)), of, at); err != nil {
			return Issued{Trail: caller.Trail}, err
		}
	}
	if err != nil {
		return Issued{Trail: caller.Trail}, err //nolint:wrapcheck // it is a refusal
	}
	var commit func(*oauth2.Client, oauth2.Grant) error
	if outcome == codegrant.Rotate {
		commit = func(*oauth2.Client, oauth2.Grant) error {
			return a.advance(ctx, id, next, of, at)
		}
	}
	issued, err := a.issue(ctx, caller, asked, nil, commit)
	if err != nil {
		return issued, err
	}
	return a.withRefresh(issued, client, next)
}

// known is what is known of a grant: the generation that counts.
func known(revocations *revocation.State, grant revocation.ID, at time.Time) codegrant.Known {
	generation, there := revocations.Generation(grant, at)
	if !there {
		return codegrant.Known{}
	}
	return codegrant.Known{Generation: generation.Number, From: time.Unix(int64(generation.From), 0)}
}

// graceful is how long a generation of a grant is accepted beside its successor, for requests whose
// answer was lost and for requests that are sent at once.
const graceful = time.Minute

// advance makes the generation of a refresh token durable, if it is not yet.
func (a *Authority) advance(ctx context.Context, grant revocation.ID, next codegrant.Refresh, of revocation.Client, at time.Time) error {
	revocations := a.Directory.Revocations()
	if now, there := revocations.Generation(grant, at); there && now.Number >= next.Generation {
		return nil
	}
	generation := revocation.Generation{
		Grant: grant, Number: next.Generation, From: seconds(at.Add(graceful)), Until: seconds(next.ExpiresAt),
	}
	revocations.Advance(generation, of, at)
	return a.Journal.Advance(ctx, generation, of) //nolint:wrapcheck // it is a refusal
}

// seconds is an instant in seconds since 1970, the next if it is not whole.
func seconds(at time.Time) uint32 { return revocation.NewEntry(revocation.ID{}, at).Until }

// goesOn refuses a grant that has ended: it was revoked, or began before what revokes the tokens of
// its client or its person, before a backup was restored or at another issuer of the name.
func (a *Authority) goesOn(ctx context.Context, caller *Caller, asked oauth2.TokenRequest, began time.Time, issuerUID string) error {
	v := a.look(caller.Payer())
	person, namespace := asked.Person, caller.Client.Namespace
	at, err := v.decide(ctx, caller.At, func(at time.Time) (need, error) {
		issuer := v.issuer(person.Issuer)
		denial := issuer.PersonDenial(namespace, person.Subject)
		if denial == "" && issuer.UID != issuerUID {
			denial = oauth2.ReasonIssuerNotFound
		}
		if denial == "" {
			return need{}, nil
		}
		return need{lack: issuerRefused, what: person.Issuer}, oauth2.Refuse(oauth2.InvalidGrant, denial,
			"the identity provider of the person may not be used any more; the person has to log in again")
	})
	caller.At = at
	if err != nil {
		return err
	}
	if began.Before(oauth2.Later(caller.RevokedBefore(), a.Directory.RestoredBefore())) || a.ended(asked, caller.Client, began, at) {
		return oauth2.Refuse(oauth2.InvalidGrant, oauth2.ReasonGrantEnded, "the grant has ended; the person has to log in again")
	}
	return nil
}

// ended reports whether a grant was revoked, as a token of it that was issued when it began would be.
func (a *Authority) ended(grant oauth2.TokenRequest, client *oauth2.Client, began, at time.Time) bool {
	return a.Directory.Revocations().Revoked(oauth2.Claims{
		ID: grant.GrantID, GrantID: grant.GrantID, ClientID: client.ID, Subject: grant.Person.String(), IssuedAt: began,
	}, client.Namespace, at)
}

// refreshing bounds the refresh tokens of a client.
func refreshing(client *oauth2.Client) oauth2.Refreshing {
	if client.Codes == nil {
		return oauth2.Refreshing{}
	}
	return client.Codes.Refresh
}

// withRefresh adds a refresh token, if the client gets one.
func (a *Authority) withRefresh(issued Issued, client *oauth2.Client, token codegrant.Refresh) (Issued, error) {
	limits := refreshing(client)
	if limits.Lifetime == 0 || limits.Limited && token.Refreshes >= limits.Max {
		return issued, nil
	}
	var err error
	issued.Refresh, err = a.seal(seal.Refresh, token.Encode(), issued.At)
	return issued, err
}

// endOf is when nothing of the grant of a code is accepted any more.
func endOf(client *oauth2.Client, code codegrant.Code, at time.Time) time.Time {
	return oauth2.Later(code.ExpiresAt.Add(refreshing(client).Lifetime), at.Add(oauth2.MaxTokenLifetime))
}

// endGrant revokes all of a grant until an instant: here at once, and durably.
func (a *Authority) endGrant(ctx context.Context, grant string, until time.Time, of revocation.Client, at time.Time) error {
	revocations := a.Directory.Revocations()
	entry := revocation.NewEntry(revocation.IDOf(grant), until)
	if err := revocations.Room(entry, of); err != nil {
		return err //nolint:wrapcheck // it is a refusal
	}
	revocations.Revoke(entry, of, at)
	return a.Journal.Revoke(ctx, entry, of) //nolint:wrapcheck // it is a refusal
}

// Revoked is the entry that revokes a token. That of a grant of a person ends all of the grant,
// unless another client was issued the token in exchange.
func Revoked(claims *oauth2.Claims) revocation.Entry {
	if claims.GrantID == "" || claims.Exchanged() {
		return revocation.EntryOf(claims)
	}
	// the token does not have the end of its refresh tokens
	return revocation.NewEntry(revocation.IDOf(claims.GrantID), claims.IssuedAt.Add(seal.MaxLife))
}

// RevokedRefresh is the entry that ends the grant of a refresh token of a caller, or the denial of a
// token that is not accepted any more.
func (a *Authority) RevokedRefresh(caller *Caller, sealed oauth2.Secret) (entry revocation.Entry, denial oauth2.Reason, err error) {
	token, err := a.openRefresh(sealed)
	switch {
	case err != nil:
		return entry, oauth2.ReasonOf(err), nil
	case token.ClientID != caller.Client.ID:
		return entry, "", oauth2.Refuse(oauth2.UnauthorizedClient, oauth2.ReasonTokenOfAnother,
			"the token was issued to another client, which alone can revoke it here")
	case token.ClientUID != caller.Client.UID:
		return entry, oauth2.ReasonTokenClientChanged, nil
	case !caller.At.Before(token.ExpiresAt):
		return entry, oauth2.ReasonRefreshExpired, nil
	}
	if err := caller.Proven(token.Person); err != nil {
		return entry, "", err
	}
	caller.Trail.Subject, caller.Trail.GrantID = token.Person.String(), token.Grant
	until := oauth2.Later(token.ExpiresAt, caller.At.Add(oauth2.MaxTokenLifetime))
	return revocation.NewEntry(revocation.IDOf(token.Grant), until), "", nil
}
