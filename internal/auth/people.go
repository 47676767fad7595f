// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package auth

import (
	"context"
	"errors"
	"time"

	"github.com/hallpass-dev/hallpass/internal/codegrant"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
	"github.com/hallpass-dev/hallpass/internal/seal"
)

// A person logs in by the pages of another process, which has no key of Hallpass: it brings
// authorization requests, tickets and ID tokens, and shows or follows what is decided here.

// Logins decides about the logins of persons.
type Logins struct{ *Authority }

// reasonNoSealingKey: there is no key for tickets, codes and refresh tokens.
const reasonNoSealingKey oauth2.Reason = "NoSealingKey"

// sealingRetry is the Retry-After while there is no sealing key, which the manager makes.
const sealingRetry = 5 * time.Second

// LoginStep is the answer to a step of a login: an attempt, or a redirect to the client. Beside an
// error a redirect reports it to the client; without one the person has to read it, because no
// redirect URI is proven.
type LoginStep struct {
	Attempt *LoginAttempt
	// Redirect is where the browser is sent, with a code or with an error.
	Redirect oauth2.Secret
	Trail    Trail
	At       time.Time
}

// LoginAttempt is an authorization request that was accepted.
type LoginAttempt struct {
	// Ticket has the attempt, sealed; it is accepted until ExpiresAt. Nonce is its hash.
	Ticket    oauth2.Secret
	Nonce     string
	ExpiresAt time.Time
	Issuer    *oauth2.TrustedIssuer
	Client    *oauth2.Client
	// Resource is the API, and Offer what the client gets there.
	Resource    *oauth2.Resource
	Offer       oauth2.Offer
	RedirectURI string
}

// Ended is why a login ends without an ID token.
type Ended int

// The ends of a login.
const (
	// EndedByPerson: the person did not consent.
	EndedByPerson Ended = iota + 1
	// EndedByProvider: the provider answered with an error.
	EndedByProvider
	// ProviderAway: the provider could not be reached.
	ProviderAway
	// ProviderUnusable: the provider refuses Hallpass, or its answer cannot be used.
	ProviderUnusable
)

// refusal is what the client learns of the end.
func (e Ended) refusal() *oauth2.Error {
	switch e {
	case EndedByPerson:
		return oauth2.Refuse(oauth2.AccessDenied, oauth2.ReasonPersonRefused, "the person did not allow it")
	case EndedByProvider:
		return oauth2.Refuse(oauth2.AccessDenied, oauth2.ReasonProviderRefused, "the identity provider did not log the person in")
	case ProviderAway:
		return oauth2.Refuse(oauth2.TemporarilyUnavailable, oauth2.ReasonProviderUnavailable, "the identity provider cannot be reached; try again later")
	default:
		return oauth2.Refuse(oauth2.ServerError, oauth2.ReasonProviderUnusable,
			"the answer of the identity provider cannot be used; if that repeats, inform the team that runs Hallpass")
	}
}

// Begin decides about an authorization request, given as its query: RFC 6749 section 4.1.1. source
// is where its browser is, which pays.
func (a Logins) Begin(ctx context.Context, query, source string) (LoginStep, error) {
	request, err := codegrant.ParseRequest(query)
	if err != nil {
		return LoginStep{}, err
	}
	step, found, err := a.login(ctx, request, source)
	if err != nil {
		return step, err
	}
	ticket := codegrant.Ticket{
		ClientID: found.client.ID, ClientUID: found.client.UID, RedirectURI: found.redirect, RedirectOmitted: request.RedirectURI == "",
		State: request.State, Challenge: request.Challenge, Resource: found.offer.Audience, Scopes: found.offer.Scopes,
		IssuerName: found.issuer.Name, IssuerUID: found.issuer.UID, ExpiresAt: step.At.Add(codegrant.TicketLifetime),
	}
	if err := ticket.Fits(); err != nil {
		return a.report(step, found, request.State, err), err
	}
	sealed, err := a.seal(seal.Ticket, ticket.Encode(), step.At)
	if err != nil {
		return step, err
	}
	found.offer.ConsentNeeded = found.offer.ConsentNeeded || request.AskConsent
	step.Attempt = found.attempt(sealed, ticket.ExpiresAt)
	return step, nil
}

// Resume returns the attempt of a ticket once more, or what has ended it since.
func (a Logins) Resume(ctx context.Context, ticket oauth2.Secret, source string) (LoginStep, error) {
	opened, step, found, err := a.resume(ctx, ticket, source)
	if err == nil {
		step.Attempt = found.attempt(ticket, opened.ExpiresAt)
	}
	return step, err
}

// Finish ends an attempt: with the ID token of a person, whom it verifies, or for another reason if
// that is not zero.
func (a Logins) Finish(ctx context.Context, ticket, idToken oauth2.Secret, ended Ended, source string) (LoginStep, error) {
	opened, step, found, err := a.resume(ctx, ticket, source)
	if ended != 0 && found.redirect != "" { // whatever else the client would learn
		err := ended.refusal()
		step.Trail.Method = "" // it is no fault of the client
		return a.report(step, found, opened.State, err), err
	}
	if err != nil {
		return step, err
	}
	v := a.look(Payer{Source: source})
	var login oauth2.LoggedIn
	at, err := v.decide(ctx, step.At, func(at time.Time) (needs need, err error) {
		login, needs, err = v.logIn(a.verification, found, idToken.Reveal(), codegrant.Nonce(ticket.Reveal()), at)
		return needs, err
	})
	step.At = at
	if err != nil {
		step.Trail.Method = "" // as above
		return a.report(step, found, opened.State, err), err
	}
	step.Trail.Token.Subject = login.Person.String()
	code, err := a.newCode(opened, found, login, at)
	if err != nil {
		return step, err
	}
	sealed, err := a.seal(seal.Code, code.Encode(), at)
	if err != nil {
		return step, err
	}
	step.Trail.GrantID = code.Grant
	step.Redirect = oauth2.NewSecret(codegrant.CodeRedirect(found.redirect, sealed.Reveal(), opened.State, a.Issuer.String()))
	return step, nil
}

// newCode makes the code of a person. It is as old as a token that is issued now would be, so that
// a revocation of this second does not end it.
func (a Logins) newCode(ticket codegrant.Ticket, found loginOf, login oauth2.LoggedIn, at time.Time) (codegrant.Code, error) {
	revocations := a.Directory.Revocations()
	issuedAt, err := oauth2.IssueAt(at, found.record.RevokedBefore(), revocations.RevokedBefore(found.client.ID, found.client.Namespace, login.Person))
	if err != nil {
		return codegrant.Code{}, err
	}
	// some may have been withdrawn since
	ticket.Scopes = found.offer.Scopes
	return codegrant.NewCode(ticket, login.Person, login.AuthTime, issuedAt, a.Random)
}

// seal seals what a browser or a client carries.
func (a Logins) seal(purpose seal.Purpose, value []byte, at time.Time) (oauth2.Secret, error) {
	sealed, err := a.Directory.Sealing().Seal(purpose, a.Issuer.String(), value, at, a.Random)
	if errors.Is(err, seal.ErrNoKey) {
		return oauth2.Secret{}, unavailable(reasonNoSealingKey, sealingRetry, "there is no key for logins yet; try again shortly")
	}
	return oauth2.NewSecret(sealed), err
}

// loginOf is what an authorization request, or the ticket of one, leads to by the records of a
// view.
type loginOf struct {
	record oauth2.Record
	client *oauth2.Client
	// redirect is the redirect URI once it is proven.
	redirect string
	issuer   *oauth2.TrustedIssuer
	resource *oauth2.Resource
	offer    oauth2.Offer
}

func (l *loginOf) attempt(ticket oauth2.Secret, expiresAt time.Time) *LoginAttempt {
	return &LoginAttempt{
		Ticket: ticket, Nonce: codegrant.Nonce(ticket.Reveal()), ExpiresAt: expiresAt, Issuer: l.issuer, Client: l.client, Resource: l.resource,
		Offer: l.offer, RedirectURI: l.redirect,
	}
}

// resume opens a ticket, and decides about its request once more.
func (a Logins) resume(ctx context.Context, sealed oauth2.Secret, source string) (ticket codegrant.Ticket, step LoginStep, found loginOf, err error) {
	value, err := a.Directory.Sealing().Open(seal.Ticket, a.Issuer.String(), sealed.Reveal())
	if err == nil {
		ticket, err = codegrant.DecodeTicket(value)
	}
	if now := a.Now(); err != nil || !now.Before(ticket.ExpiresAt) {
		return ticket, step, found, oauth2.Refuse(oauth2.InvalidRequest, oauth2.ReasonTicketRefused,
			"this login took longer than ten minutes, or is none of this installation; start again in the application")
	}
	request := codegrant.Request{
		ClientID: ticket.ClientID, RedirectURI: ticket.RedirectURI, State: ticket.State, Scopes: ticket.Scopes, Resource: ticket.Resource,
	}
	step, found, err = a.login(ctx, request, source)
	switch {
	case err != nil:
	case found.client.UID != ticket.ClientUID:
		err = oauth2.Refuse(oauth2.InvalidRequest, oauth2.ReasonTokenClientChanged, "the application was registered anew; start again there")
	case found.issuer.Name != ticket.IssuerName, found.issuer.UID != ticket.IssuerUID:
		// the nonce is that of another provider
		err = oauth2.Refuse(oauth2.InvalidRequest, oauth2.ReasonLoginNotAvailable, "another identity provider is used now; start again in the application")
	default:
		found.offer, err = found.offer.Within(ticket.Scopes)
	}
	if err != nil && step.Redirect.Empty() {
		step = a.report(step, found, ticket.State, err)
	}
	if err != nil && found.client != nil && found.client.UID != ticket.ClientUID {
		found.redirect, step.Redirect = "", oauth2.Secret{} // that of another client
	}
	return ticket, step, found, err
}

// login decides about an authorization request.
func (a Logins) login(ctx context.Context, request codegrant.Request, source string) (step LoginStep, found loginOf, err error) {
	v := a.look(Payer{Source: source})
	step.Trail.Method = oauth2.NoAuthentication
	if !oauth2.LooksSecret(request.ClientID) {
		step.Trail.ClientID = request.ClientID
	}
	step.At, err = v.decide(ctx, a.Now(), func(time.Time) (needs need, err error) {
		found, needs, err = a.loginBy(&v, request)
		return needs, err
	})
	if found.client != nil {
		step.Trail.Namespace, step.Trail.ClientUID = found.client.Namespace, found.client.UID
	}
	if err == nil {
		step.Trail.Token.Audience = found.offer.Audience
		return step, found, nil
	}
	return a.report(step, found, request.State, err), found, err
}

// report has a step report an error to the client, if the redirect URI is proven and the error will
// not be mended by the next request.
func (a Logins) report(step LoginStep, found loginOf, state string, err error) LoginStep {
	refusal, ok := errors.AsType[*oauth2.Error](err)
	if !ok || found.redirect == "" || refusal.Code == oauth2.TemporarilyUnavailable && refusal.RetryAfter > 0 {
		return step
	}
	step.Redirect = oauth2.NewSecret(codegrant.ErrorRedirect(found.redirect, refusal, state, a.Issuer.String()))
	return step
}

// loginBy decides about an authorization request by a view. Where the redirect URI is proven, the
// result has it beside an error.
func (a Logins) loginBy(v *view, request codegrant.Request) (found loginOf, needs need, err error) {
	record := v.Record(request.ClientID)
	if v.has(loginRefused) {
		record = v.client
	}
	record = v.newer(record)
	needs = need{lack: loginRefused, what: request.ClientID}
	if denial := record.Denial(); denial != "" {
		return found, needs, refuseLogin(denial)
	}
	found.record, found.client = record, record.Client
	if err := (oauth2.TokenRequest{GrantType: oauth2.AuthorizationCode}).CheckGrantType(record.Client); err != nil || record.Client.Codes == nil {
		return found, needs, refuseLogin(oauth2.ReasonGrantTypeNotAllowed)
	}
	redirect, err := request.Redirect(record.Client)
	if err != nil {
		return found, needs, err
	}
	found.redirect = redirect
	if err := request.Check(); err != nil {
		return found, need{}, err
	}
	if found.issuer, needs, err = v.loginIssuer(record.Client); err != nil {
		return found, needs, err
	}
	return a.offer(v, found, request)
}

// refuseLogin refuses an authorization request because of its client. A person reads it.
func refuseLogin(reason oauth2.Reason) *oauth2.Error {
	switch reason {
	case oauth2.ReasonSuspended:
		return oauth2.Refuse(oauth2.UnauthorizedClient, reason, "the application is suspended; ask those who run it")
	case oauth2.ReasonNotAllowedByPolicy, oauth2.ReasonGrantTypeNotAllowed:
		return oauth2.Refuse(oauth2.UnauthorizedClient, reason, "the application may not have persons log in; ask those who run it")
	default:
		return oauth2.Refuse(oauth2.InvalidClient, reason, "no application of that client_id is registered; ask those who run it")
	}
}

// loginIssuer is the issuer at which persons log in for a client.
func (v *view) loginIssuer(client *oauth2.Client) (*oauth2.TrustedIssuer, need, error) {
	name := client.Codes.IssuerName
	var issuers []*oauth2.TrustedIssuer
	if name == "" {
		issuers = v.LoginIssuers(client.Namespace)
	} else if issuer := v.issuer(name); issuer != nil {
		issuers = append(issuers, issuer)
	}
	issuer, denial := client.LoginIssuer(issuers)
	if denial == "" {
		return issuer, need{}, nil
	}
	needs := need{}
	if name != "" {
		needs = need{lack: issuerRefused, what: name}
	}
	return nil, needs, oauth2.Refuse(oauth2.AccessDenied, denial, "no person can log in for this client now; the conditions of its OAuth2Client have the reason")
}

// offer decides what the person can let the client have.
func (a Logins) offer(v *view, found loginOf, request codegrant.Request) (loginOf, need, error) {
	resources := oauth2.Resources(v.Memory)
	if v.has(grantRefused) && v.granted.Client == found.client {
		resources = v.resources()
	}
	var err error
	found.offer, err = a.Issuer.Offer(found.client, request.Scopes, request.Resource, found.issuer.Name, found.redirect, resources)
	if err == nil {
		if found.resource = resources.ResourceByIdentifier(found.offer.Audience); found.resource == nil {
			return found, need{}, oauth2.Refuse(oauth2.InvalidTarget, oauth2.ReasonTargetNotGranted, "there is no such API any more")
		}
		return found, need{}, nil
	}
	return found, a.grantNeeded(found.client, request.Resource, err, v), err
}

// logIn verifies the ID token of a person. Its issuer may have published the key, or may be
// trusted, only a moment ago.
func (v *view) logIn(checks *verification, found loginOf, idToken, nonce string, at time.Time) (login oauth2.LoggedIn, needs need, err error) {
	issuer := v.issuer(found.issuer.Name)
	login, err = verify(checks, v.payer, at, func() (oauth2.LoggedIn, error) {
		return issuer.LogIn(idToken, nonce, found.client.Namespace, at)
	})
	switch oauth2.ReasonOf(err) {
	case oauth2.ReasonIDTokenKeyUnknown, oauth2.ReasonNotAllowedByIssuer, oauth2.ReasonIssuerSuspended, oauth2.ReasonKeysStale, oauth2.ReasonIssuerNotFound:
		return login, need{lack: issuerRefused, what: found.issuer.Name}, err
	default:
		return login, need{}, err
	}
}
