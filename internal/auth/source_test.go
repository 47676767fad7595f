// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package auth_test

import (
	"encoding/json"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hallpass-dev/hallpass/internal/auth"
	"github.com/hallpass-dev/hallpass/internal/jws"
	"github.com/hallpass-dev/hallpass/internal/keyring"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
)

// outcome is why a decision refuses, or "", and the instant that it is made for.
type outcome struct {
	reason oauth2.Reason
	at     time.Time
}

func checked(result auth.Result, err error) outcome {
	if err != nil {
		return outcome{oauth2.ReasonOf(err), result.At}
	}
	return outcome{result.Denial, result.At}
}

func authenticated(caller auth.Caller, err error) outcome {
	return outcome{oauth2.ReasonOf(err), caller.At}
}

// authenticates, grants, admits and introspects make requests of one kind.
func authenticates(credentials func(w *world) auth.Credentials) func(*world) outcome {
	return func(w *world) outcome { return authenticated(w.Authenticate(w.t.Context(), credentials(w))) }
}

func grants(parameters func(w *world) url.Values) func(*world) outcome {
	return func(w *world) outcome {
		request, err := oauth2.ParseTokenRequest(form(w.t, "grant_type=client_credentials&"+parameters(w).Encode()))
		must(w.t, err)
		caller := w.caller(reporting)
		issued, err := w.Issue(w.t.Context(), &caller, request)
		return outcome{oauth2.ReasonOf(err), issued.At}
	}
}

func secretOf(id string) func(*world) auth.Credentials {
	return func(w *world) auth.Credentials { return w.credentials(id, w.secrets[id], "192.0.2.1") }
}

func forget(id string) func(*world) { return func(w *world) { delete(w.memory.clients, id) } }

func forgetResources(w *world) { w.memory.resources = nil }

// TestTheSourceIsAskedForWhatMemoryLacks is the table of docs/architecture.md: what memory lacks,
// the requests, and the answers if they cannot be asked.
func TestTheSourceIsAskedForWhatMemoryLacks(t *testing.T) {
	opaqueID := oauth2.OpaqueID("token-uid")
	for name, c := range map[string]struct {
		lacks func(w *world)
		// prepared while memory has everything
		request   func(w *world) func(*world) outcome
		questions []string
		// away is the reason while the source does not answer, and of a request beyond the
		// budget of eight.
		away oauth2.Reason
	}{
		"a client that authenticates": {
			forget(reporting), fixed(authenticates(secretOf(reporting))),
			[]string{"client shop.reporting"}, oauth2.ReasonLookupUnavailable,
		},
		"the secret of a client": {
			func(w *world) {
				w.change(reporting, func(c *oauth2.Client, _ *oauth2.Owner) { c.Credentials.Verifiers = nil })
			},
			fixed(authenticates(secretOf(reporting))),
			[]string{"client shop.reporting"}, oauth2.ReasonLookupUnavailable,
		},
		"that a client is no longer suspended": {
			func(w *world) { w.change(reporting, func(_ *oauth2.Client, o *oauth2.Owner) { o.Suspended = true }) },
			fixed(authenticates(secretOf(reporting))),
			[]string{"client shop.reporting"}, oauth2.ReasonLookupUnavailable,
		},
		"the key of a service account's token": {
			func(w *world) { w.trust = oauth2.Cluster{} },
			fixed(authenticates(func(w *world) auth.Credentials { return w.pod(w.signer, "jti") })),
			[]string{"cluster", "client shop.podded", "review"}, oauth2.ReasonLookupUnavailable,
		},
		"the client that a service account means": {
			forget(podded), fixed(authenticates(func(w *world) auth.Credentials { return w.nameless(w.signer) })),
			[]string{"clients of shop/worker", "client shop.podded", "review"}, oauth2.ReasonLookupUnavailable,
		},
		"a resource that is asked for": {
			forgetResources, fixed(grants(func(w *world) url.Values { return url.Values{"resource": {w.ordersAPI}} })),
			[]string{"client shop.reporting", "resource https://hallpass.test/resources/orders/api"}, oauth2.ReasonTargetNotGranted,
		},
		"the default resource of a client": {
			func(w *world) {
				w.change(reporting, func(c *oauth2.Client, _ *oauth2.Owner) {
					c.DefaultResource, c.Access = oauth2.ObjectName{Namespace: "orders", Name: "api"}, nil
				})
			},
			fixed(grants(func(*world) url.Values { return nil })),
			[]string{"client shop.reporting", "resource https://hallpass.test/resources/orders/api"}, oauth2.ReasonTargetNotGranted,
		},
		"a scope that is asked for": {
			func(w *world) {
				w.change(reporting, func(c *oauth2.Client, _ *oauth2.Owner) { c.Scopes = []string{"read"} })
			},
			fixed(grants(func(*world) url.Values { return url.Values{"scope": {"write"}} })),
			[]string{"client shop.reporting", "resource https://hallpass.test/resources//"}, oauth2.ReasonScopeNotGranted,
		},
		"a grant type of a client": {
			func(w *world) {
				w.change(reporting, func(c *oauth2.Client, _ *oauth2.Owner) { c.GrantTypes = oauth2.JWTBearer })
			},
			fixed(grants(func(*world) url.Values { return nil })),
			[]string{"client shop.reporting", "resource https://hallpass.test/resources//"}, oauth2.ReasonGrantTypeNotAllowed,
		},
		"the key of a token": {
			func(w *world) { w.memory.ring = otherRing(w.t) }, admits("read"), []string{"keys"}, oauth2.ReasonTokenKeyUnknown,
		},
		"the client of a token": {
			forget(reporting), admits("read"), []string{"client shop.reporting"}, oauth2.ReasonLookupUnavailable,
		},
		"the owner of the client of a token": {
			func(w *world) {
				w.change(reporting, func(_ *oauth2.Client, o *oauth2.Owner) { o.UID = "of-the-one-before" })
			},
			admits("read"), []string{"client shop.reporting"}, oauth2.ReasonLookupUnavailable,
		},
		"the record of an opaque token": {
			func(w *world) { clear(w.memory.minted) }, mints(true), []string{"token " + opaqueID}, oauth2.ReasonLookupUnavailable,
		},
		"the newest opaque token of a record": {
			func(w *world) { w.replaceMinted(func(m *oauth2.Minted) { m.Tokens = nil }) },
			mints(true), []string{"token " + opaqueID}, oauth2.ReasonLookupUnavailable,
		},
		"the owner of a minted token": {
			func(w *world) {
				w.memory.minted[opaqueID] = oauth2.MintedRecord{Minted: w.memory.minted[opaqueID].Minted}
			},
			mints(false), []string{"token " + opaqueID}, oauth2.ReasonLookupUnavailable,
		},
		"the newest minted JWT of a record": {
			func(w *world) { w.replaceMinted(func(m *oauth2.Minted) { m.Tokens = nil }) },
			mints(false), []string{"token " + opaqueID}, oauth2.ReasonLookupUnavailable,
		},
		"a scope of a young token": {
			func(w *world) {
				w.change(reporting, func(c *oauth2.Client, _ *oauth2.Owner) { c.Scopes = []string{"read"} })
			},
			admits("write"), []string{"client shop.reporting", "resource https://hallpass.test/ns/shop"}, oauth2.ReasonInsufficientScope,
		},
		"all scopes of a young token": {
			func(w *world) { w.change(reporting, func(c *oauth2.Client, _ *oauth2.Owner) { c.Scopes = nil }) },
			admits("write"), []string{"client shop.reporting", "resource https://hallpass.test/ns/shop"}, oauth2.ReasonScopeNotGranted,
		},
		"the issuer of a person": {
			func(w *world) { w.memory.issuers = nil }, bringsPerson,
			[]string{"issuer of https://idp.example.com"}, oauth2.ReasonIssuerNotFound,
		},
		"the use of the issuer of a person": {
			func(w *world) {
				issuer := *w.source.issuers["corp"]
				issuer.Uses = oauth2.UseClient
				w.memory.issuers = map[string]*oauth2.TrustedIssuer{"corp": &issuer}
			},
			bringsPerson, []string{"issuer corp"}, oauth2.ReasonNotAllowedByIssuer,
		},
		"the resource that a caller of introspection serves": {
			forgetResources,
			func(w *world) func(*world) outcome {
				token := w.token(noon, w.ordersAPI, "orders.read")
				return func(w *world) outcome { return checked(w.introspect(gateway, token)) }
			},
			[]string{
				"resource https://hallpass.test/resources/orders/api",
				"client shop.reporting", "resource https://hallpass.test/resources/orders/api",
			},
			oauth2.ReasonNotForCaller,
		},
	} {
		t.Run(name, func(t *testing.T) {
			prepared := func(lacks func(*world), away error, took time.Duration) (*world, func(*world) outcome) {
				w := newWorld(t)
				request := c.request(w)
				lacks(w)
				w.away, w.took = away, took
				return w, request
			}
			w, request := prepared(c.lacks, nil, time.Second)
			if got := request(w); got.reason != "" || !got.at.Equal(w.now) {
				t.Errorf("%q at %s, want it allowed at %s, when the source had answered", got.reason, got.at, w.now)
			}
			if diff := cmp.Diff(c.questions, w.questions); diff != "" {
				t.Error("questions (-want +got):\n" + diff)
			}
			w, request = prepared(c.lacks, errAway, time.Second)
			if got := request(w); got.reason != c.away || len(w.questions) != 1 {
				t.Errorf("while the source is away: %q after %v, want %q", got.reason, w.questions, c.away)
			}
			w, request = prepared(func(*world) {}, errAway, 0)
			if got := request(w); got.reason != "" || len(w.questions) > strings.Count(strings.Join(c.questions, ""), "review") {
				t.Errorf("when memory has it: %q after %v", got.reason, w.questions)
			}
			w, request = prepared(c.lacks, nil, 0)
			var got outcome
			for range 9 {
				c.lacks(w) // memory learns nothing from the answers
				got = request(w)
			}
			if got.reason != c.away {
				t.Errorf("the ninth request: %q after %d questions, want %q", got.reason, len(w.questions), c.away)
			}
		})
	}
}

func fixed(request func(*world) outcome) func(*world) func(*world) outcome {
	return func(*world) func(*world) outcome { return request }
}

// admits has a proxy ask for a scope of a token for the audience of the namespace.
func admits(scope string) func(*world) func(*world) outcome {
	return func(w *world) func(*world) outcome {
		token := w.token(noon, w.shop(), "read", "write")
		return func(w *world) outcome { return checked(w.admit(token, w.shop(), scope)) }
	}
}

// bringsPerson has a client act for a person, each time with another assertion.
func bringsPerson(w *world) func(*world) outcome {
	w.t.Helper()
	const issuer = "https://idp.example.com"
	keys, err := jws.PackKeys(w.signer.Public())
	must(w.t, err)
	w.memory.issuers = map[string]*oauth2.TrustedIssuer{"corp": {
		Name: "corp", UID: "uid-of-corp", Issuer: issuer, Uses: oauth2.UsePerson, Keys: oauth2.IssuerKeys{Set: keys}, Delegations: []oauth2.Delegation{{Namespaces: []string{"shop"}}},
	}}
	w.change(reporting, func(c *oauth2.Client, _ *oauth2.Owner) { c.GrantTypes = oauth2.JWTBearer })
	w.memory.resources[0].Users = w.memory.resources[0].Consents
	w.source = w.memory.clone()
	used := 0
	return func(w *world) outcome {
		used++
		payload, err := json.Marshal(map[string]any{
			"iss": issuer, "sub": "u1", "aud": w.Issuer.String(), "client_id": reporting, "jti": fmt.Sprint(used), "iat": noon.Unix(), "exp": noon.Add(time.Minute).Unix(),
		})
		must(w.t, err)
		assertion, err := w.signer.Sign(oauth2.IdentityAssertionType, payload)
		must(w.t, err)
		request, err := oauth2.ParsePersonRequest(form(w.t, url.Values{
			"grant_type": {oauth2.GrantJWTBearer}, "assertion": {assertion}, "resource": {w.ordersAPI},
		}.Encode()))
		must(w.t, err)
		issued, err := auth.Grants{Authority: w.Authority}.ActFor(w.t.Context(), &auth.Caller{Record: w.memory.clients[reporting], At: w.now}, request)
		return outcome{reason: oauth2.ReasonOf(err), at: issued.At}
	}
}

func mints(opaque bool) func(*world) func(*world) outcome {
	return func(w *world) func(*world) outcome {
		token := w.mint(opaque)
		return func(w *world) outcome { return checked(w.introspect(reporting, token)) }
	}
}

func (w *world) replaceMinted(change func(*oauth2.Minted)) {
	for id, record := range w.memory.minted {
		minted := *record.Minted
		change(&minted)
		w.memory.minted[id] = oauth2.MintedRecord{Minted: &minted, Owner: record.Owner}
	}
}

func otherRing(t testing.TB) keyring.Ring {
	t.Helper()
	ring, err := keyring.New(noon.Add(-time.Hour))
	must(t, err)
	return ring
}

func TestOldTokensCauseNoQuestions(t *testing.T) {
	for age, want := range map[time.Duration]int{10 * time.Second: 2, 11 * time.Second: 0} {
		w := newWorld(t)
		token := w.token(noon.Add(-age), w.ordersAPI, "orders.read")
		w.memory.resources = nil
		if got := checked(w.admit(token, w.ordersAPI)); len(w.questions) != want || (got.reason == "") != (want > 0) {
			t.Errorf("a token that is %s old: %q after %v", age, got.reason, w.questions)
		}
		w.questions = nil
		if checked(w.introspect(gateway, token)); (len(w.questions) > 0) != (want > 0) {
			t.Errorf("introspection of a token that is %s old: %v", age, w.questions)
		}
	}
}

// A client that the source denies, or that was replaced by another one, is granted nothing.
func TestADenialOfTheSourceGrantsNothing(t *testing.T) {
	for name, change := range map[string]func(*oauth2.Record){
		"suspended": func(r *oauth2.Record) { r.Owner = &oauth2.Owner{UID: r.Owner.UID, Suspended: true} },
		"another client": func(r *oauth2.Record) {
			c := *r.Client
			c.UID = "new-uid"
			r.Client, r.Owner = &c, &oauth2.Owner{UID: "new-uid"}
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			token := w.token(noon, w.ordersAPI, "orders.read")
			record := w.source.clients[reporting]
			change(&record)
			w.source.clients[reporting], w.memory.resources = record, nil
			if got := grants(func(w *world) url.Values { return url.Values{"resource": {w.ordersAPI}} })(w); got.reason != oauth2.ReasonTargetNotGranted {
				t.Errorf("token request: %q", got.reason)
			}
			if got := checked(w.admit(token, w.ordersAPI)); got.reason != oauth2.ReasonTargetNotGranted {
				t.Errorf("token: %q", got.reason)
			}
		})
	}
}

// A request is decided for one instant: what ends while the source is asked has ended.
func TestWhatEndsDuringALookUpHasEnded(t *testing.T) {
	w := newWorld(t)
	w.took = 2 * time.Second
	expiring := w.token(noon.Add(-time.Hour+time.Second), w.shop(), "read")
	forget(reporting)(w)
	if got := checked(w.admit(expiring, w.shop())); got.reason != oauth2.ReasonTokenExpired || !got.at.Equal(noon.Add(w.took)) {
		t.Errorf("a token: %q at %s", got.reason, got.at)
	}
	w.source.clients[reporting].Client.Credentials.Verifiers[0].ExpiresAt = w.now.Add(time.Second)
	if got := authenticates(secretOf(reporting))(w); got.reason != oauth2.ReasonWrongSecret {
		t.Errorf("a secret: %q", got.reason)
	}
}

func TestBudgetsOfAllCallers(t *testing.T) {
	guess := func(w *world, i int, source string) outcome {
		return authenticated(w.Authenticate(t.Context(), w.credentials("shop.new"+strconv.Itoa(i), strings.Repeat("x", 43), source)))
	}
	const guesser = "192.0.2.1"
	w := newWorld(t)
	for i := range 100 {
		if got := guess(w, i, guesser); got.reason != oauth2.ReasonUnknownClient {
			t.Fatalf("guess %d: %q", i, got.reason)
		}
	}
	if got := guess(w, 100, guesser); got.reason != oauth2.ReasonLookupUnavailable || len(w.questions) != 100 {
		t.Errorf("beyond the budget of clients: %q after %d questions", got.reason, len(w.questions))
	}
	w.caller(reporting) // what memory has needs no budget
	w.now = w.now.Add(20 * time.Millisecond)
	if got := guess(w, 100, guesser); got.reason != oauth2.ReasonUnknownClient {
		t.Errorf("20 ms later: %q", got.reason)
	}
	for i := range 9 { // the share of another source, and no more
		if got, want := guess(w, i, "192.0.2.2"), map[bool]oauth2.Reason{false: oauth2.ReasonUnknownClient, true: oauth2.ReasonLookupUnavailable}; got.reason != want[i == 8] {
			t.Errorf("guess %d of another source: %q", i, got.reason)
		}
	}

	w = newWorld(t)
	w.memory.resources, w.source.resources = nil, nil
	for i := range 30 {
		uid := "uid-" + strconv.Itoa(i)
		for _, r := range []records{w.memory, w.source} {
			client, digest := *r.clients[reporting].Client, oauth2.DigestSecret(uid, oauth2.NewSecret(w.secrets[reporting]))
			client.ID, client.UID, client.Credentials.Verifiers = reporting+strconv.Itoa(i), uid, []oauth2.Verifier{{ID: "v", Digest: digest}}
			r.clients[client.ID] = oauth2.Record{Client: &client, Owner: &oauth2.Owner{UID: uid}}
		}
		caller, err := w.Authenticate(t.Context(), w.credentials(reporting+strconv.Itoa(i), w.secrets[reporting], "192.0.2.1"))
		must(t, err)
		asked, err := oauth2.ParseTokenRequest(form(t, "grant_type=client_credentials&resource="+url.QueryEscape(w.ordersAPI)))
		must(t, err)
		if _, err := w.Issue(t.Context(), &caller, asked); oauth2.ReasonOf(err) != oauth2.ReasonTargetNotGranted {
			t.Fatalf("client %d: %v", i, err)
		}
	}
	if len(w.questions) != 20 { // two a request: the client and the resource
		t.Errorf("%d questions about grants, want 20", len(w.questions))
	}
}

func TestKeysAreLookedUpOnceInTenSeconds(t *testing.T) {
	w := newWorld(t)
	foreign := newWorld(t)
	for i := range 50 {
		if got := checked(w.introspect(reporting, foreign.token(noon, w.shop(), "read"))); got.reason != oauth2.ReasonTokenKeyUnknown {
			t.Fatalf("token %d: %q", i, got.reason)
		}
	}
	forged := newSigner(t)
	for i := range 50 {
		want := oauth2.ReasonLookupUnavailable
		if i == 0 {
			want = oauth2.ReasonAssertionKeyUnknown
		}
		if got := authenticates(func(w *world) auth.Credentials { return w.pod(forged, strconv.Itoa(i)) })(w); got.reason != want {
			t.Fatalf("pod %d: %q, want %q", i, got.reason, want)
		}
	}
	count := func() (keys, cluster int) {
		for _, question := range w.questions {
			switch question {
			case "keys":
				keys++
			case "cluster":
				cluster++
			}
		}
		return keys, cluster
	}
	if keys, cluster := count(); keys != 1 || cluster != 1 {
		t.Errorf("%d look-ups of keys, %d of the cluster's", keys, cluster)
	}
	w.now = w.now.Add(10 * time.Second)
	checked(w.introspect(reporting, foreign.token(noon, w.shop(), "read")))
	authenticates(func(w *world) auth.Credentials { return w.pod(forged, "later") })(w)
	if keys, cluster := count(); keys != 2 || cluster != 2 {
		t.Errorf("ten seconds later: %d look-ups of keys, %d of the cluster's", keys, cluster)
	}
	// After a failure the cluster's keys are read again in two seconds, and the result is
	// unknown until then.
	w.now, w.away = w.now.Add(10*time.Second), errAway
	for _, want := range []int{3, 3} {
		got := authenticates(func(w *world) auth.Credentials { return w.pod(forged, "away") })(w)
		if _, cluster := count(); got.reason != oauth2.ReasonLookupUnavailable || cluster != want {
			t.Errorf("%q after %d look-ups", got.reason, cluster)
		}
	}
	w.now, w.away = w.now.Add(2*time.Second), nil
	authenticates(func(w *world) auth.Credentials { return w.pod(forged, "back") })(w)
	if _, cluster := count(); cluster != 4 {
		t.Errorf("two seconds later: %d look-ups", cluster)
	}
}
