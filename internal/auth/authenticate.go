// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package auth

import (
	"context"
	"errors"
	"time"

	"github.com/hallpass-dev/hallpass/internal/oauth2"
	"github.com/hallpass-dev/hallpass/internal/revocation"
)

// Credentials are what a request presents to authenticate its client.
type Credentials struct {
	// Authorization are the values of that header.
	Authorization []string
	Form          oauth2.Form
	// AsGrant means that the assertion is the grant of a token request: RFC 7523 section 2.1.
	AsGrant bool
	// Password means that the token of a service account is the password of a token request:
	// RFC 6749 section 4.3.
	Password bool
	// Public admits a public client by its client_id alone. What it is given is then bound to a
	// code or to a token that it presents.
	Public bool
	// Source is where the request came from, which pays for what it costs. Failed attempts
	// count by source and client.
	Source string
	// Place is that of the request among those in flight, if it has one. The client gets it.
	Place *Place
	// At is when the request was read.
	At time.Time
	// Rate may refuse a client whose credentials are good; nil refuses none.
	Rate Rate
}

// Rate limits how often a client does something. It is asked before an assertion is used up, so
// that a client that it refuses can send the assertion again. Of a public client it is asked when
// the person is known, so that a caller that knows a client_id takes nothing from its persons; of
// another client the person is zero. It is an interface because a method value would be allocated
// for each request.
type Rate interface {
	Allow(client *oauth2.Client, person oauth2.Person, at time.Time) error
}

// Caller is a client that authenticated. Of one that did not only the Trail is set.
type Caller struct {
	oauth2.Record

	Trail Trail
	At    time.Time

	// unproven is set for a public client that has proven nothing yet.
	unproven *unproven
}

// Authenticate finds the client that a request comes from. Every refusal by memory is looked up and
// counted alike, so that the unknown client, the wrong secret and the suspended client are
// indistinguishable.
//
// An assertion or a password as the grant is verified as a client assertion is, and an assertion is
// used up in the same table; only the code of a refusal is another one.
func (a *Authority) Authenticate(ctx context.Context, c Credentials) (caller Caller, err error) {
	caller, err = a.authenticate(ctx, &c)
	switch {
	case c.AsGrant:
		err = oauth2.OfGrant(err, "assertion")
	case c.Password:
		err = oauth2.OfGrant(err, "password")
	}
	return caller, err
}

func (a *Authority) authenticate(ctx context.Context, c *Credentials) (caller Caller, _ error) {
	sent, err := c.presented()
	if err != nil {
		return caller, err
	}
	v, found := a.look(Payer{Source: c.Source}), recognised{}
	presented := workloads{&v}.presented(sent)
	named := presented.ClientID()
	if !oauth2.ValidClientID(named) || oauth2.LooksSecret(named) {
		named = ""
	}
	at, err := v.decide(ctx, c.At, func(at time.Time) (need, error) {
		if v.has(foreignIssuerUnknown) {
			presented = workloads{&v}.presented(sent)
		}
		var err error
		if found, err = a.verify(presented, &v, at); err == nil {
			return need{}, nil
		}
		return v.needs(presented, named, err), err
	})
	caller.Trail.Method, caller.Trail.ClientID = presented.Method, named
	if err != nil {
		if client := a.claimed(presented, named); client != nil {
			caller.Trail.ClientID, caller.Trail.Namespace, caller.Trail.ClientUID = client.ID, client.Namespace, client.UID
			err = faultOf(client, presented, err)
		}
		return caller, a.confirmed(ctx, presented, found, err)
	}
	if found.record.Client.Federated() != nil {
		caller.Trail.Method = oauth2.FederatedJWT
	}
	caller.Trail.Namespace, caller.Trail.ClientUID = found.record.Client.Namespace, found.record.Client.UID
	caller.At, caller.Trail.ClientID, caller.Trail.Credential = at, found.record.Client.ID, found.credential
	if presented.PublicID != "" {
		caller.Record, caller.unproven = found.record, &unproven{c.Source, c.Place, c.Rate}
		return caller, nil
	}
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
		err = v.unspent(found, at)
	}
	if err != nil {
		return caller, err
	}
	caller.Record, caller.Trail.Used = found.record, found.used
	if err := c.allow(&caller); err != nil {
		return caller, err
	}
	if err := a.useUp(found.once, found.record.Client.Namespace, at, oauth2.Replayed); err != nil {
		caller.Record, caller.Trail.Used = oauth2.Record{}, Used{}
		return caller, err
	}
	return caller, nil
}

func (c *Credentials) presented() (oauth2.Presented, error) {
	switch {
	case c.AsGrant:
		return oauth2.ParseAssertionGrant(c.Authorization, c.Form)
	case c.Password:
		return oauth2.ParsePassword(c.Authorization, c.Form)
	}
	if c.Public {
		if presented, ok := oauth2.PresentPublic(c.Authorization, c.Form); ok {
			return presented, nil
		}
	}
	return oauth2.ParsePresented(c.Authorization, c.Form)
}

func (c *Credentials) allow(caller *Caller) error {
	if c.Rate == nil {
		return nil
	}
	return c.Rate.Allow(caller.Client, oauth2.Person{}, caller.At)
}

// needs is what could mend a refusal: another registration, or the keys of the cluster. No
// registration mends what is wrong with the token of a service account of this cluster. The clients
// that an account names are looked up only for a token that is good, because that costs more. The
// issuer of another cluster is looked up before the keys of this one, whose issuer hardly changes.
func (v *view) needs(presented oauth2.Presented, named string, refusal error) need {
	token, only := presented.AccountToken, presented.OnlyAccount()
	if foreign := (workloads{v}).ofOtherCluster(presented); foreign != nil && !v.has(foreignIssuerUnknown) {
		return need{lack: foreignIssuerUnknown, what: foreign.Issuer}
	}
	if token != nil && v.foreign(presented) == nil && oauth2.IsFinal(refusal) {
		return need{lack: callerRefused, what: named}
	}
	v.presented = presented
	if subject := presented.OnlySubject(); subject != nil {
		return workloads{v}.needs(subject, refusal)
	}
	if only == nil {
		return need{lack: callerRefused, what: named}
	}
	account := only.Namespace + "/" + only.Name
	if oauth2.ReasonOf(refusal) == oauth2.ReasonAssertionKeyUnknown {
		return need{lack: callerRefused, what: account}
	}
	return need{lack: accountRefused, what: account, workload: only.Workload()}
}

// claimed is the client that credentials claim to be from, as memory knows it; nil if it is
// unknown, or one of several.
func (a *Authority) claimed(presented oauth2.Presented, named string) *oauth2.Client {
	var workload oauth2.Workload
	if account := presented.OnlyAccount(); account != nil {
		workload = account.Workload()
	} else if subject := presented.OnlySubject(); subject != nil {
		v := a.look(Payer{})
		workload = workloads{&v}.of(subject)
	} else {
		return a.Directory.Record(named).Client
	}
	if clients := a.Directory.ClientsOf(workload); len(clients) == 1 {
		return clients[0].Client
	}
	return nil
}

// confirmed is the refusal of a request. Only a pod whose token the cluster honours learns that
// several clients name its service account.
func (a *Authority) confirmed(ctx context.Context, presented oauth2.Presented, found recognised, err error) error {
	token := presented.AccountToken
	if token == nil || oauth2.ReasonOf(err) != oauth2.ReasonClientIDNeeded {
		return err
	}
	// the account is no client_id, and has paid as none
	payer := Payer{Client: found.account.Account, Namespace: token.Account.Namespace}
	if refused := a.reviews.check(ctx, payer, token.Value, *found.account); refused != nil {
		return refused
	}
	return err
}

// faultOf is what a client learns of a refusal. Any caller can send the token of a pod with the
// client_id of a client that has a secret or keys, and what is wrong with that token does not
// concern it.
func faultOf(client *oauth2.Client, presented oauth2.Presented, err error) error {
	refusal, ok := errors.AsType[*oauth2.Error](err)
	hasOther := client.Credentials.ServiceAccount == nil && client.Credentials.Federated == nil
	if ok && refusal.Code == oauth2.InvalidClient && presented.AccountToken != nil && hasOther {
		return oauth2.WrongMethod()
	}
	return err
}

// recognised is a client by the records of a view, and what it was recognised by.
type recognised struct {
	record oauth2.Record
	used   Used
	// credential names it in the audit line. watched means that it ends when it is unused.
	credential string
	watched    bool
	// once and account are set if it was a JWT that is accepted once, or the token of a pod.
	once    *usedOnce
	account *oauth2.UsedAccountToken
}

// usedOnce is the id of a JWT that is accepted once, until an instant.
type usedOnce struct {
	id    revocation.ID
	until time.Time
}

// verify recognises a client. What is signed is checked within the budget of the source.
func (a *Authority) verify(presented oauth2.Presented, v *view, at time.Time) (recognised, error) {
	if len(presented.Readings) > 0 || presented.PublicID != "" {
		return a.recognise(presented, v, at)
	}
	return verify(a.verification, v.payer, at, func() (recognised, error) { return a.recognise(presented, v, at) })
}

func (a *Authority) recognise(presented oauth2.Presented, v *view, at time.Time) (found recognised, err error) {
	switch foreign := v.foreign(presented); {
	case presented.PublicID != "":
		found.record, err = oauth2.AuthenticatePublic(presented, v.caller)
		return found, err
	case foreign != nil:
		var used oauth2.UsedForeignToken
		found.record, used, err = v.federation(v.source.cluster().Issuer).Authenticate(foreign, at)
		found.credential = used.ID
		if once := used.Once; once != nil {
			found.once = usedOnceBy(*once)
		}
	case presented.Assertion != nil:
		var used oauth2.UsedAssertion
		found.record, used, err = a.Issuer.AuthenticateAssertion(presented, v.caller, at)
		found.credential, found.once = used.KeyID, &usedOnce{revocation.AssertionIDOf(presented.Assertion.ClientID, used.ID), used.ExpiresAt}
	case presented.AccountToken != nil:
		var used oauth2.UsedAccountToken
		found.record, used, err = a.Issuer.AuthenticateAccount(presented, v.source.cluster(), workloads{v}.callers, at)
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

// cluster is the issuer of the tokens of service accounts.
func (s *source) cluster() oauth2.Cluster {
	if s.Cluster == nil {
		return oauth2.Cluster{}
	}
	return s.Cluster.Trust()
}

// unspent refuses an assertion that is used up.
func (v *view) unspent(r recognised, at time.Time) error {
	if r.once != nil && v.Revocations().Used(r.once.id, at) {
		return oauth2.Replayed()
	}
	return nil
}

// useUp uses up a JWT that a client of a namespace presented, here at once and at the other
// replicas soon after. It is a no-op without one: a secret can be used again.
func (a *Authority) useUp(once *usedOnce, namespace string, at time.Time, replayed func() *oauth2.Error) error {
	if once == nil {
		return nil
	}
	used := revocation.NewEntry(once.id, once.until)
	fresh, room := a.Directory.Revocations().Use(used, namespace, at, a.Past())
	switch {
	case !room:
		return Overloaded()
	case !fresh:
		return replayed()
	}
	a.Journal.Use(used, namespace)
	return nil
}
