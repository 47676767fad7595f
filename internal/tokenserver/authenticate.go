// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package tokenserver

import (
	"net/http"
	"time"

	"github.com/hallpass-dev/hallpass/internal/budget"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
	"github.com/hallpass-dev/hallpass/internal/revocation"
)

// authenticate reads the credentials of a request and finds the record of its client. One that memory refuses is looked up at the source
// before it is told so: a client may use its secret before this replica has heard of it. Every refusal takes that way, so
// that the unknown client, the wrong secret and the suspended client stay alike, and every one counts as a failure of its
// source with that client. Too many of those are told to wait and ask the source nothing.
func (s *Server) authenticate(r *http.Request, form oauth2.Form, e *event) (oauth2.Record, error) {
	presented, err := oauth2.ParsePresented(r.Header.Values("Authorization"), form)
	if err != nil {
		return oauth2.Record{}, err
	}
	e.method = presented.Method
	if oauth2.ValidClientID(presented.ClientID()) && !oauth2.LooksSecret(presented.ClientID()) {
		e.clientID = presented.ClientID()
	}
	record, credential, err := s.recognise(presented, s.Directory.Record, e.now)
	if err != nil {
		if d := s.failures.Take(e.now, budget.Key{Who: e.source, What: e.clientID}); !d.OK {
			return oauth2.Record{}, throttled(d.Wait, "too many failed attempts for this client; try again later")
		}
		if presented.AccountToken != nil && oauth2.RefusedAsItIs(err) {
			return oauth2.Record{}, err
		}
		found, asked, unavailable := s.lookups.presented(r.Context(), presented)
		s.waited(e)
		if unavailable != nil {
			return oauth2.Record{}, unavailable
		}
		if !asked {
			return oauth2.Record{}, err
		}
		if record, credential, err = s.recognise(presented, found, e.now); err != nil {
			return oauth2.Record{}, err
		}
	}
	client := record.Client
	e.clientID, e.credential = client.ID, credential.id
	if credential.watched && s.Vouches != nil && !s.Vouches() {
		return oauth2.Record{}, unvouched()
	}
	if account := credential.account; account != nil {
		err = s.reviews.check(r.Context(), presented.AccountToken.Value, *account)
		s.waited(e)
	} else {
		err = s.spend(client, credential, e.now)
	}
	if err == nil {
		e.used.caller, e.used.secret, e.used.replaced = client.UID, credential.secret, credential.replaced
	}
	return record, err
}

// credential is what a client was recognised by.
type credential struct {
	// id names it in the audit line.
	id string
	// secret is its id if it is a client secret; replaced says that another one has taken its place.
	secret   string
	replaced bool
	// watched says that it is to end once nobody uses it.
	watched bool
	// assertion is set if it was one.
	assertion *oauth2.UsedAssertion
	// account is set if it was a service account's token.
	account *oauth2.UsedAccountToken
}

// recognise finds the record of the client that what was presented belongs to, by the records that it is given.
func (s *Server) recognise(
	presented oauth2.Presented, record func(clientID string) oauth2.Record, now time.Time,
) (oauth2.Record, credential, error) {
	if presented.Assertion != nil {
		found, used, err := s.Issuer.AuthenticateAssertion(presented, record, now)
		return found, credential{id: used.KeyID, assertion: &used}, err
	}
	if presented.AccountToken != nil {
		found, used, err := s.Issuer.AuthenticateAccount(presented, s.trust(), record, now)
		return found, credential{id: used.ID, account: &used}, err
	}
	found, verifier, err := oauth2.Authenticate(presented, record, now)
	return found, credential{id: verifier.ID, secret: verifier.ID, replaced: verifier.Replaced(), watched: verifier.Watched()}, err
}

// trust is what is known of the cluster that issues the tokens of service accounts.
func (s *Server) trust() oauth2.Cluster {
	if s.Cluster == nil {
		return oauth2.Cluster{}
	}
	return s.Cluster.Trust()
}

// spend uses up an assertion, here at once and at the other replicas soon after; a secret can be used again.
func (s *Server) spend(client *oauth2.Client, c credential, now time.Time) error {
	if c.assertion == nil {
		return nil
	}
	id := revocation.AssertionIDOf(client.ID, c.assertion.ID)
	if s.Directory.Revocations().Used(id, now) {
		return oauth2.Replayed()
	}
	fresh, room := s.replays.use(id, c.assertion.ExpiresAt, now)
	switch {
	case !room:
		return overloaded()
	case !fresh:
		return oauth2.Replayed()
	}
	s.journal.Use(revocation.NewEntry(id, c.assertion.ExpiresAt))
	return nil
}

// reasonUseUnreported is the reason of a refusal of a secret whose use would not be heard of.
const reasonUseUnreported oauth2.Reason = "UseUnreported"

const unreportedRetry = 5 * time.Second

// unvouched is the refusal of a secret that is to end once nobody uses it, at a replica whose uses nobody would hear of: another one
// may accept it, and so may this one soon.
func unvouched() error {
	return &oauth2.Error{
		Code: oauth2.TemporarilyUnavailable, Reason: reasonUseUnreported, RetryAfter: unreportedRetry,
		Description: "this client secret was replaced and cannot be accepted here right now; use the new one, or try again shortly",
	}
}
