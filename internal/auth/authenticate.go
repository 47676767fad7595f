// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package auth

import (
	"context"
	"time"

	"github.com/hallpass-dev/hallpass/internal/oauth2"
	"github.com/hallpass-dev/hallpass/internal/revocation"
)

// Credentials are what a request presents to authenticate its client.
type Credentials struct {
	// Authorization are the values of that header.
	Authorization []string
	Form          oauth2.Form
	// Source is where the request came from, which pays for what it costs. Failed attempts count by
	// source and client.
	Source string
	// Place is that of the request among those in flight, if it has one. The client gets it.
	Place *Place
	// At is when the request was read.
	At time.Time
}

// Caller is a client that authenticated. Of one that did not only the Trail is set.
type Caller struct {
	oauth2.Record

	Trail *Trail
	At    time.Time
}

// Authenticate finds the client that a request comes from. Every refusal by memory is looked up and
// counted alike, so that the unknown client, the wrong secret and the suspended client cannot be
// told apart.
func (a *Authority) Authenticate(ctx context.Context, c Credentials) (Caller, error) {
	caller := Caller{Trail: &Trail{}}
	presented, err := oauth2.ParsePresented(c.Authorization, c.Form)
	if err != nil {
		return caller, err
	}
	named := presented.ClientID()
	if !oauth2.ValidClientID(named) || oauth2.LooksSecret(named) {
		named = ""
	}
	caller.Trail.Method, caller.Trail.ClientID = presented.Method, named
	v, found := a.look(Payer{Source: c.Source}), recognised{}
	at, err := v.decide(ctx, c.At, func(at time.Time) (need, error) {
		var err error
		if found, err = a.verify(presented, &v, at); err == nil {
			return need{}, nil
		}
		if presented.AccountToken == nil || !oauth2.RefusedAsItIs(err) { // no registration mends what is wrong with such a token
			v.presented = presented
		}
		return need{lack: callerRefused, what: named}, err
	})
	if err != nil {
		if client := a.Directory.Record(named).Client; client != nil {
			caller.Trail.Namespace = client.Namespace
		}
		return caller, err
	}
	caller.Trail.Namespace = found.record.Client.Namespace
	caller.At, caller.Trail.ClientID, caller.Trail.Credential = at, found.record.Client.ID, found.credential
	if err := c.Place.assign(found.record.Client); err != nil {
		return caller, err
	}
	if found.watched && a.Reports != nil && !a.Reports() {
		return caller, unreported()
	}
	if account := found.account; account != nil {
		err = a.reviews.check(ctx, PaidBy(found.record.Client), presented.AccountToken.Value, *account)
		caller.At = a.Now()
	} else {
		err = a.spend(found, at)
	}
	if err != nil {
		return caller, err
	}
	caller.Record, caller.Trail.Used = found.record, found.used
	return caller, nil
}

// recognised is a client by the records of a view, and what it was recognised by.
type recognised struct {
	record oauth2.Record
	used   Used
	// credential names it in the audit line. watched means that it ends when it is unused.
	credential string
	watched    bool
	// assertion and account are set if it was one.
	assertion *oauth2.UsedAssertion
	account   *oauth2.UsedAccountToken
}

// verify recognises a client. What is signed is checked within the budget of the source.
func (a *Authority) verify(presented oauth2.Presented, v *view, at time.Time) (recognised, error) {
	if presented.Assertion == nil && presented.AccountToken == nil {
		return a.recognise(presented, v, at)
	}
	return verify(a.verification, v.payer, at, func() (recognised, error) { return a.recognise(presented, v, at) })
}

func (a *Authority) recognise(presented oauth2.Presented, v *view, at time.Time) (found recognised, err error) {
	switch {
	case presented.Assertion != nil:
		var used oauth2.UsedAssertion
		found.record, used, err = a.Issuer.AuthenticateAssertion(presented, v.caller, at)
		found.credential, found.assertion = used.KeyID, &used
	case presented.AccountToken != nil:
		var used oauth2.UsedAccountToken
		found.record, used, err = a.Issuer.AuthenticateAccount(presented, a.trust(), v.caller, at)
		found.credential, found.account = used.ID, &used
	default:
		var verifier oauth2.Verifier
		found.record, verifier, err = oauth2.Authenticate(presented, v.caller, at)
		found.credential, found.watched = verifier.ID, verifier.Watched()
		found.used = Used{Secret: verifier.ID, Replaced: verifier.Replaced()}
	}
	if err == nil {
		found.used.Caller = found.record.Client.UID
	}
	return found, err
}

// trust is the issuer of the tokens of service accounts.
func (a *Authority) trust() oauth2.Cluster {
	if a.Cluster == nil {
		return oauth2.Cluster{}
	}
	return a.Cluster.Trust()
}

// spend uses up an assertion, here at once and at the other replicas soon after. A secret can be
// used again.
func (a *Authority) spend(r recognised, at time.Time) error {
	if r.assertion == nil {
		return nil
	}
	id := revocation.AssertionIDOf(r.record.Client.ID, r.assertion.ID)
	if a.Directory.Revocations().Used(id, at) {
		return oauth2.Replayed()
	}
	used := revocation.NewEntry(id, r.assertion.ExpiresAt)
	fresh, room := a.replays.use(used, r.record.Client.Namespace, at, a.Past())
	switch {
	case !room:
		return Overloaded()
	case !fresh:
		return oauth2.Replayed()
	}
	a.Journal.Use(used, r.record.Client.Namespace)
	return nil
}
