// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package auth_test

import (
	"errors"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hallpass-dev/hallpass/internal/auth"
	"github.com/hallpass-dev/hallpass/internal/jws"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
)

const second = "shop.second" // a second client of the service account worker

// nameless are credentials without a client_id: a token of the service account worker.
func (w *world) nameless(signer *jws.Signer) auth.Credentials {
	return auth.Credentials{Form: form(w.t, assertionType[1:]+w.sign(signer, w.podClaims("from-the-cluster"))), Source: "192.0.2.1", At: w.now}
}

// share registers a second client of the service account, in memory, at the source or in both.
func (w *world) share(memory, source bool) {
	w.t.Helper()
	w.register(second)
	w.memory.clients[second].Client.Credentials = oauth2.Credentials{ServiceAccount: &oauth2.ServiceAccount{Name: "worker", UID: "worker-uid"}}
	if source {
		w.source.clients[second] = w.memory.clients[second]
	}
	if !memory {
		delete(w.memory.clients, second)
	}
}

// A ServiceAccount's token needs no client_id while one client names the account.
func TestTheTokenOfAServiceAccountWithoutAClientID(t *testing.T) {
	const first, other = "client shop.podded", "client shop.second"
	const which, review = "clients of shop/worker", "review"
	both, ambiguous := []string{which, first, other, review}, oauth2.ReasonClientIDNeeded
	for name, c := range map[string]struct {
		change  func(w *world)
		foreign bool
		asked   []string
		reason  oauth2.Reason
	}{
		"of the only client":                    {asked: []string{review}},
		"of an account that no client names":    {func(w *world) { forgetBoth(w, podded) }, false, []string{which}, oauth2.ReasonUnknownClient},
		"of a client that memory does not know": {forget(podded), false, []string{which, first, review}, ""},
		"while the source is away": {
			func(w *world) { delete(w.memory.clients, podded); w.away = errors.New("away") }, false, []string{which}, oauth2.ReasonLookupUnavailable,
		},
		"of two clients":                        {func(w *world) { w.share(true, true) }, false, both, ambiguous},
		"of two clients, one of them suspended": {func(w *world) { w.share(true, true); suspendBoth(w, second) }, false, both, ambiguous},
		"of a client whose twin is being deleted": {func(w *world) {
			w.share(true, true)
			w.change(second, func(_ *oauth2.Client, o *oauth2.Owner) { o.Terminating = true })
		}, false, []string{review}, ""},
		"of a client whose twin was deleted just now": {func(w *world) { w.share(true, false) }, false, []string{which, first, review}, ""},
		"of two clients, from a pod that was deleted": {
			func(w *world) { w.share(true, true); w.verdict = oauth2.Dishonoured }, false, both, oauth2.ReasonAccountTokenEnded,
		},
		"of a suspended client": {func(w *world) { suspendBoth(w, podded) }, false, []string{which, first}, oauth2.ReasonSuspended},
		"of an account that was made again": {func(w *world) {
			w.memory.clients[podded].Client.Credentials.ServiceAccount.UID = "former"
		}, false, []string{which, first}, oauth2.ReasonWrongServiceAccount},
		"of a client that memory does not know, with a new key of the cluster": {func(w *world) {
			delete(w.memory.clients, podded)
			w.trust = oauth2.Cluster{}
		}, false, []string{"cluster", which, first, review}, ""},
		"with a key that the cluster does not have": {func(w *world) {
			delete(w.memory.clients, podded)
			w.trust, w.trusted = oauth2.Cluster{}, oauth2.Cluster{}
		}, false, []string{"cluster"}, oauth2.ReasonAssertionKeyUnknown},
		"of two clients, forged": {func(w *world) { w.share(true, true) }, true, nil, oauth2.ReasonWrongAssertion},
		"of no client, forged":   {func(w *world) { forgetBoth(w, podded) }, true, nil, oauth2.ReasonWrongAssertion},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			signer := w.signer
			if c.change != nil {
				c.change(w)
			}
			credentials := w.nameless(signer)
			if c.foreign { // with the key id of the cluster
				forger := newSigner(t)
				w.trust.Keys.Keys[0] = withID(w.signer.Public(), forger.Public())
				credentials = w.nameless(forger)
			}
			caller, err := w.Authenticate(t.Context(), credentials)
			if oauth2.ReasonOf(err) != c.reason {
				t.Fatalf("got %v, want the reason %q", err, c.reason)
			}
			if err == nil && (caller.Client.ID != podded || caller.Trail.ClientID != podded || caller.Trail.Used.Caller != "uid-of-"+podded) {
				t.Errorf("it is %s, with the trail %+v", caller.Client.ID, caller.Trail)
			}
			if refusal, ok := errors.AsType[*oauth2.Error](err); ok && c.reason == ambiguous && refusal.Code != oauth2.InvalidRequest {
				t.Errorf("the code is %s", refusal.Code)
			}
			slices.Sort(w.questions) // of two clients either comes first
			slices.Sort(c.asked)
			if diff := cmp.Diff(c.asked, w.questions); diff != "" {
				t.Errorf("questions (-want +got):\n%s", diff)
			}
		})
	}
}

// What is refused is reported to the client that the account means, if it means one.
func TestARefusalWithoutAClientIDIsReportedToTheOnlyClient(t *testing.T) {
	w := newWorld(t)
	suspendBoth(w, podded)
	caller, err := w.Authenticate(t.Context(), w.nameless(w.signer))
	if err == nil || caller.Trail.ClientID != podded || caller.Trail.ClientUID != "uid-of-"+podded || caller.Trail.Namespace != "shop" {
		t.Errorf("%v, trail %+v", err, caller.Trail)
	}
	w = newWorld(t)
	w.share(true, true)
	caller, err = w.Authenticate(t.Context(), w.nameless(w.signer))
	if err == nil || caller.Trail.ClientID != "" || caller.Trail.ClientUID != "" {
		t.Errorf("%v, trail %+v", err, caller.Trail)
	}
}

// The token of one namespace is never that of a client of another one.
func TestAnAccountOfTheSameNameInAnotherNamespaceIsAnotherAccount(t *testing.T) {
	w := newWorld(t)
	w.register("orders.podded")
	w.memory.clients["orders.podded"].Client.Credentials = oauth2.Credentials{ServiceAccount: &oauth2.ServiceAccount{Name: "worker", UID: "worker-uid"}}
	w.source = w.memory.clone()
	caller, err := w.Authenticate(t.Context(), w.nameless(w.signer))
	if err != nil || caller.Client.ID != podded {
		t.Errorf("%v of %v", err, caller.Client)
	}
}

func forgetBoth(w *world, id string) {
	delete(w.memory.clients, id)
	delete(w.source.clients, id)
}

func suspendBoth(w *world, id string) {
	w.change(id, func(_ *oauth2.Client, o *oauth2.Owner) { o.Suspended = true })
	w.source.clients[id] = w.memory.clients[id]
}

// withID is a key that another key is taken for.
func withID(key, named jws.PublicKey) jws.PublicKey {
	key.ID = named.ID
	return key
}
