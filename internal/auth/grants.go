// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package auth

import (
	"context"
	"crypto/rand"
	"time"

	"github.com/hallpass-dev/hallpass/internal/codegrant"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
	"github.com/hallpass-dev/hallpass/internal/revocation"
	"github.com/hallpass-dev/hallpass/internal/seal"
)

// Grants decides about the grants of persons.
type Grants struct{ *Authority }

// Redeem issues the tokens of an authorization code: RFC 6749 section 4.1.3. All else is decided
// before the code is used up, so that a caller who lacks the verifier uses none up, and a client
// that is asked to try again may. The second use of a code ends its grant.
func (a Grants) Redeem(ctx context.Context, caller *Caller, request codegrant.Redemption) (Issued, error) {
	refused := func(err error) (Issued, error) { return Issued{Trail: caller.Trail}, err }
	code, err := a.openCode(request.Code)
	if err == nil {
		err = code.Check(caller.Client, request, caller.At)
	}
	if err != nil {
		return refused(err)
	}
	caller.Trail.Token.Subject, caller.Trail.GrantID = code.Person.String(), code.Grant
	if err := caller.Proven(code.Person); err != nil {
		return refused(err)
	}
	asked := code.Request()
	asked.GrantID = code.Grant
	if err := a.notEnded(ctx, caller, asked, code.ExpiresAt.Add(-codegrant.CodeLifetime), code.IssuerUID); err != nil {
		return refused(err)
	}
	issued, err := a.issue(ctx, caller, asked, nil, func() error { return a.useCode(ctx, caller, code) })
	if err != nil {
		return issued, err
	}
	if token, ok := codegrant.NewRefresh(code, refreshing(caller.Client), issued.Claims.IssuedAt); ok {
		issued.Refresh, err = Logins(a).seal(seal.Refresh, token.Encode(), issued.At)
	}
	return issued, err
}

// useCode records that a code was redeemed, or ends the grant of one that was redeemed before.
func (a Grants) useCode(ctx context.Context, caller *Caller, code codegrant.Code) error {
	of := revocation.Client{ID: caller.Client.ID, Namespace: caller.Client.Namespace}
	first, err := a.Directory.Redeem(ctx, revocation.Redemption{
		CodeID: code.ID, GrantID: code.Grant, Attempt: rand.Text(), Client: of, ExpiresAt: code.ExpiresAt,
	})
	if err != nil || first {
		return err
	}
	if err := a.endGrant(ctx, code.Grant, endOf(code, caller.At), of, caller.At); err != nil {
		return err
	}
	return codegrant.CodeUsed()
}

// openCode opens a code.
func (a Grants) openCode(sealed oauth2.Secret) (codegrant.Code, error) {
	value, err := a.Directory.Sealing().Open(seal.Code, a.Issuer.String(), sealed.Reveal())
	if err != nil {
		return codegrant.Code{}, codegrant.RefuseCode()
	}
	code, err := codegrant.DecodeCode(value)
	if err != nil {
		return codegrant.Code{}, codegrant.RefuseCode()
	}
	return code, nil
}

// Refresh issues the tokens of a refresh token: RFC 6749 section 6. Where the refresh token is
// replaced, the generation of its successor is durable before that is answered.
func (a Grants) Refresh(ctx context.Context, caller *Caller, request codegrant.Refreshing) (Issued, error) {
	refused := func(err error) (Issued, error) { return Issued{Trail: caller.Trail}, err }
	token, err := a.openRefresh(request.Token)
	if err == nil {
		err = token.Check(caller.Client)
	}
	if err != nil {
		return refused(err)
	}
	caller.Trail.Token.Subject, caller.Trail.GrantID = token.Person.String(), token.Grant
	if err := caller.Proven(token.Person); err != nil {
		return refused(err)
	}
	asked, err := token.Request(request)
	if err != nil {
		return refused(err)
	}
	asked.GrantID = token.Grant
	if err := a.notEnded(ctx, caller, asked, token.Began, token.IssuerUID); err != nil {
		return refused(err)
	}
	return a.refresh(ctx, caller, token, request.Token, asked)
}

// openRefresh opens a refresh token.
func (a Grants) openRefresh(sealed oauth2.Secret) (codegrant.Refresh, error) {
	value, err := a.Directory.Sealing().Open(seal.Refresh, a.Issuer.String(), sealed.Reveal())
	if err != nil {
		return codegrant.Refresh{}, codegrant.RefuseRefresh()
	}
	token, err := codegrant.DecodeRefresh(value)
	if err != nil {
		return codegrant.Refresh{}, codegrant.RefuseRefresh()
	}
	return token, nil
}

// refresh decides about a refresh token of a grant that has not ended. The write comes after the
// decision about the grant, so that a client which lost it writes nothing.
func (a Grants) refresh(
	ctx context.Context, caller *Caller, token codegrant.Refresh, presented oauth2.Secret, asked oauth2.TokenRequest,
) (Issued, error) {
	client, at := caller.Client, caller.At
	of := revocation.Client{ID: client.ID, Namespace: client.Namespace}
	id, limits := revocation.IDOf(token.Grant), refreshing(client)
	next, outcome, err := token.Judge(known(a.Directory.Revocations(), id, at), limits, codegrant.Rotates(client), at)
	if outcome == codegrant.Reuse {
		if failed := a.endGrant(ctx, token.Grant, endOfRefresh(token, at), of, at); failed != nil {
			err = failed
		}
	}
	if err != nil {
		return Issued{Trail: caller.Trail}, err
	}
	var commit func() error
	if outcome == codegrant.Rotate {
		commit = func() error { return a.advance(ctx, id, next, of, at) }
	}
	issued, err := a.issue(ctx, caller, asked, nil, commit)
	switch {
	case err != nil:
	case outcome == codegrant.Keep:
		issued.Refresh = presented
	case !limits.Limited || next.Refreshes < limits.Max:
		issued.Refresh, err = Logins(a).seal(seal.Refresh, next.Encode(), issued.At)
	}
	return issued, err
}

// known is what is known of a grant: the generation that counts, and whether it has ended.
func known(revocations *revocation.State, grant revocation.ID, at time.Time) codegrant.Known {
	known := codegrant.Known{Ended: revocations.Ended(grant, at)}
	if generation, there := revocations.Generation(grant, at); there {
		known.Generation, known.From = generation.Number, time.Unix(int64(generation.From), 0)
	}
	return known
}

// advance makes the generation of a refresh token durable. Before that nothing counts by it: while
// it cannot be written, the refresh token that the client has stays valid.
func (a Grants) advance(ctx context.Context, grant revocation.ID, next codegrant.Refresh, of revocation.Client, at time.Time) error {
	generation := revocation.Generation{
		Grant: grant, Number: next.Generation, From: revocation.SecondsOf(at.Add(codegrant.Grace)), Until: revocation.SecondsOf(next.ExpiresAt),
	}
	if err := a.Directory.Revocations().RoomToAdvance(grant, of); err != nil {
		return err
	}
	if err := a.Journal.Advance(ctx, generation, of); err != nil {
		return err
	}
	a.Directory.Revocations().Advance(generation, of, at)
	return nil
}

// notEnded refuses a grant that has ended: it was revoked, or began before what revokes the tokens
// of its client or its person, before a backup was restored or at another issuer of the name. No
// person logs in at an issuer without a login, so grants of it are refused while it has none.
func (a Grants) notEnded(ctx context.Context, caller *Caller, asked oauth2.TokenRequest, began time.Time, issuerUID string) error {
	v := a.look(caller.Payer())
	person, namespace := asked.Person, caller.Client.Namespace
	at, err := v.decide(ctx, caller.At, func(time.Time) (need, error) {
		issuer := v.issuer(person.Issuer)
		denial := issuer.PersonDenial(namespace, person.Subject)
		switch {
		case denial != "":
		case issuer.UID != issuerUID:
			denial = oauth2.ReasonIssuerNotFound
		case issuer.Login == nil:
			denial = oauth2.ReasonLoginNotAvailable
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

// ended reports whether a grant was revoked, as a token of it that was issued when it began would
// be.
func (a Grants) ended(grant oauth2.TokenRequest, client *oauth2.Client, began, at time.Time) bool {
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

// endOf is when nothing of the grant of a code is accepted any more, whatever the lifetime of the
// client's refresh tokens was when the code was redeemed.
func endOf(code codegrant.Code, at time.Time) time.Time {
	return oauth2.Later(code.ExpiresAt, at).Add(seal.MaxLife)
}

// endOfRefresh is when nothing of the grant of a refresh token is accepted any more.
func endOfRefresh(token codegrant.Refresh, at time.Time) time.Time {
	return oauth2.Later(token.ExpiresAt, at.Add(oauth2.MaxTokenLifetime))
}

// endGrant revokes all of a grant until an instant: here at once, and durably.
func (a Grants) endGrant(ctx context.Context, grant string, until time.Time, of revocation.Client, at time.Time) error {
	revocations := a.Directory.Revocations()
	entry := revocation.NewEntry(revocation.IDOf(grant), until)
	if err := revocations.RoomToEnd(entry.ID, of); err != nil {
		return err
	}
	revocations.Revoke(entry, of, at)
	return a.Journal.Revoke(ctx, entry, of)
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

// RevokedRefresh is the entry that ends the grant of a refresh token of a caller, or the denial of
// a token that is not accepted any more.
func (a Grants) RevokedRefresh(caller *Caller, sealed oauth2.Secret) (entry revocation.Entry, denial oauth2.Reason, err error) {
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
	caller.Trail.Token.Subject, caller.Trail.GrantID = token.Person.String(), token.Grant
	return revocation.NewEntry(revocation.IDOf(token.Grant), endOfRefresh(token, caller.At)), "", nil
}
