// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package auth_test

import (
	"crypto/rand"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/hallpass-dev/hallpass/internal/auth"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
)

// unwatched makes a client that the source has and memory does not.
func (w *world) unwatched(id string) {
	w.register(id)
	w.source.clients[id] = w.memory.clients[id]
	delete(w.memory.clients, id)
}

// 1,000 new clients make their first request while 20 sources send 200 made-up credentials a second
// each, and none is refused.
func TestNewClientsAreNotRefusedForTheGuessesOfOthers(t *testing.T) {
	const (
		hostile = 20
		clients = 1000
		last    = 2 * time.Second
		step    = 5 * time.Millisecond // 200 a second
	)
	// well-formed, so that it is worth a look-up
	madeUp, err := oauth2.NewClientSecret(rand.Reader)
	must(t, err)
	for name, at := range map[string]func(i int) time.Duration{
		"spread over the flood":        func(i int) time.Duration { return time.Duration(i) * last / clients },
		"all at one instant within it": func(int) time.Duration { return last / 2 },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			next, guesses := 0, 0
			for i := range clients {
				w.unwatched("new" + strconv.Itoa(i%50) + ".c" + strconv.Itoa(i))
			}
			for after := time.Duration(0); after <= last; after += step {
				w.now = noon.Add(after)
				for i := range hostile {
					guesses++
					_, err := w.Authenticate(t.Context(), w.credentials("x"+strconv.Itoa(guesses)+".y", madeUp.Value.Reveal(), attacker(i)))
					if err == nil {
						t.Fatal("a made-up credential is accepted")
					}
				}
				for ; next < clients && at(next) <= after; next++ {
					id := "new" + strconv.Itoa(next%50) + ".c" + strconv.Itoa(next)
					source := fmt.Sprintf("10.1.%d.%d", next/250, next%250)
					if _, err := w.Authenticate(t.Context(), w.credentials(id, w.secrets[id], source)); err != nil {
						t.Fatalf("after %s the first request of client %d is refused: %v", after, next, oauth2.ReasonOf(err))
					}
				}
			}
			if next != clients {
				t.Fatalf("%d clients asked", next)
			}
			// the level, its debt, and the shares
			if bound := 2*100 + int(last/time.Second)*50 + hostile*(8+int(last/time.Second)) + clients; len(w.questions) > bound {
				t.Errorf("%d questions, bound %d", len(w.questions), bound)
			}
		})
	}
}

func attacker(i int) string { return "198.51.100." + strconv.Itoa(i) }

// A new client that comes from a source of made-up credentials waits, but is not refused. When its
// source is quiet, it is accepted.
func TestANewClientFromASourceOfGuessesIsToldToWait(t *testing.T) {
	madeUp, err := oauth2.NewClientSecret(rand.Reader)
	must(t, err)
	for name, guessed := range map[string]func(i, j int) string{
		"guesses of clients that there are not": func(i, j int) string { return fmt.Sprintf("x%d.y%d", i, j) },
		"guesses of its own secret":             func(int, int) string { return "shop.new" },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.unwatched("shop.new")
			refused := 0
			for i := range 600 {
				w.now = noon.Add(time.Duration(i) * 5 * time.Millisecond)
				for j := range 20 {
					_, _ = w.Authenticate(t.Context(), w.credentials(guessed(i, j), madeUp.Value.Reveal(), attacker(j)))
				}
				if i%100 != 50 {
					continue
				}
				_, err := w.Authenticate(t.Context(), w.credentials("shop.new", w.secrets["shop.new"], attacker(0)))
				if err == nil {
					continue
				}
				refused++
				refusal, ok := errors.AsType[*oauth2.Error](err)
				if !ok || refusal.Code != oauth2.TemporarilyUnavailable || refusal.Reason != oauth2.ReasonLookupUnavailable || refusal.RetryAfter <= 0 {
					t.Fatalf("refused with %v", err)
				}
			}
			if refused == 0 {
				t.Error("never refused: the source has spent nothing")
			}
			w.now = w.now.Add(2 * time.Second)
			if _, err := w.Authenticate(t.Context(), w.credentials("shop.new", w.secrets["shop.new"], attacker(0))); err != nil {
				t.Errorf("after a pause: %v", err)
			}
		})
	}
}

// Tokens of one namespace's service accounts do not use up the reviews of another.
func TestReviewsOfOneNamespaceLeaveOthersTheirs(t *testing.T) {
	w := newWorld(t)
	w.register("orders.podded")
	w.memory.clients["orders.podded"].Client.Credentials.ServiceAccount = &oauth2.ServiceAccount{Name: "worker", UID: "worker-uid"}
	pod := func(namespace, jti string) auth.Credentials {
		signed := w.sign(w.signer, map[string]any{
			"iss": clusterIssuer, "sub": "system:serviceaccount:" + namespace + ":worker", "aud": []string{w.Issuer.String()}, "jti": jti,
			"iat": w.now.Unix(), "exp": w.now.Add(time.Hour).Unix(),
			"kubernetes.io": map[string]any{"namespace": namespace, "serviceaccount": map[string]any{"name": "worker", "uid": "worker-uid"}},
		})
		return auth.Credentials{Form: form(t, "client_id="+namespace+".podded"+assertionType+signed), Source: "192.0.2.1", At: w.now}
	}
	reviewed := func(namespace string, tokens int) (reviewed int) {
		for i := range tokens {
			if _, err := w.Authenticate(t.Context(), pod(namespace, namespace+strconv.Itoa(i)+w.now.String())); err == nil {
				reviewed++
			} else if oauth2.ReasonOf(err) != oauth2.ReasonLookupUnavailable {
				t.Fatal(err)
			}
		}
		return reviewed
	}
	if got := reviewed("shop", 600); got != 500 {
		t.Errorf("%d reviews for one namespace, want 500", got)
	}
	if got := reviewed("orders", 51); got != 50 {
		t.Errorf("%d reviews for another one, want its share of 50", got)
	}
}

// A client that introspects tokens, for which memory lacks something, pays for the look-ups itself.
func TestIntrospectionIsPaidForByTheClientThatAsks(t *testing.T) {
	w := newWorld(t)
	w.register("evil.a")
	tokens := make([]string, 200)
	for i := range tokens { // opaque tokens of OAuth2Tokens that no replica has
		minted, _, err := oauth2.IssueOpaque(oauth2.Grant{TokenUID: "uid-" + strconv.Itoa(i), Lifetime: time.Hour}, w.now, rand.Reader)
		must(t, err)
		tokens[i] = minted.Reveal()
	}
	asked := func(id string) int {
		w.questions = nil
		for _, token := range tokens {
			_, _ = w.introspect(id, token)
		}
		return len(w.questions)
	}
	if got := asked("evil.a"); got != 50 {
		t.Errorf("%d questions for one client at once, want 50", got)
	}
	if got := asked(reporting); got != 50 {
		t.Errorf("%d questions for another client, want 50", got)
	}
	for i := range 30 { // more clients of the namespace use up what is lent
		w.register("evil.b" + strconv.Itoa(i))
		asked("evil.b" + strconv.Itoa(i))
	}
	if got := asked(gateway); got != 16 {
		t.Errorf("%d questions for a client of another namespace, want its share of 16", got)
	}
}

// The keys are looked up for a client of one namespace although another one has had them looked up
// for keys that it made up.
func TestMadeUpKeysCostOthersNoLookUp(t *testing.T) {
	w, foreign := newWorld(t), newWorld(t)
	madeUp, token := foreign.token(noon, w.shop(), "read"), w.token(noon, w.ordersAPI, "orders.read")
	w.memory.ring = otherRing(t)
	ring := w.source.ring
	w.source.ring = w.memory.ring // the key of token is published after the first look-up
	for range 100 {
		if got := checked(w.introspect(reporting, madeUp)); got.reason != oauth2.ReasonTokenKeyUnknown {
			t.Fatal(got.reason)
		}
	}
	w.source.ring = ring
	if got := checked(w.introspect(gateway, token)); got.reason != "" || len(w.questions) != 2 {
		t.Errorf("%q after %v", got.reason, w.questions)
	}
}

// What is forged is counted for its source, and for introspection for the client that asks.
func TestForgedSignaturesUseUpTheBudgetOfWhoSendsThem(t *testing.T) {
	source, client := auth.Payer{Source: "192.0.2.9"}, auth.Payer{Client: reporting, Namespace: "shop"}
	for name, c := range map[string]struct {
		sends func(w *world, i int)
		payer auth.Payer
		want  bool
	}{
		"assertions": {func(w *world, i int) {
			claims := map[string]any{
				"iss": keyed, "sub": keyed, "aud": w.Issuer.String(), "jti": strconv.Itoa(i), "iat": w.now.Unix(), "exp": w.now.Add(time.Minute).Unix(),
			}
			_, _ = w.Authenticate(t.Context(), auth.Credentials{
				Form: form(t, "client_id="+keyed+assertionType+w.sign(newSigner(t), claims)), Source: source.Source, At: w.now,
			})
		}, source, true},
		"tokens of service accounts": {func(w *world, i int) {
			pod := w.pod(newSigner(t), strconv.Itoa(i))
			pod.Source = source.Source
			_, _ = w.Authenticate(t.Context(), pod)
		}, source, true},
		"tokens at a proxy":                {func(w *world, _ int) { _, _ = w.admit(forge(w), w.shop()) }, source, true},
		"tokens that a client introspects": {func(w *world, _ int) { _, _ = w.introspect(reporting, forge(w)) }, client, true},
		"tokens that are good": {func(w *world, _ int) {
			_, _ = w.introspect(reporting, w.token(noon, w.shop(), "read"))
		}, client, false},
		"good tokens of which a client learns nothing": {func(w *world, _ int) {
			_, _ = w.introspect(reporting, w.token(noon, w.ordersAPI, "orders.read"))
		}, client, false},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			for i := range 50 {
				// a request may be decided twice
				if i <= 25 && w.OneAtATime(c.payer, w.now) {
					t.Fatalf("one at a time after %d", i)
				}
				c.sends(w, i)
			}
			if got := w.OneAtATime(c.payer, w.now); got != c.want {
				t.Errorf("one at a time: %t, want %t", got, c.want)
			}
			if w.OneAtATime(auth.Payer{Source: "192.0.2.10"}, w.now) || w.OneAtATime(auth.Payer{Client: gateway, Namespace: "orders"}, w.now) {
				t.Error("others pay")
			}
		})
	}
}

// forge is a token with another's signature.
func forge(w *world) string {
	token, other := w.token(noon, w.shop(), "read"), w.token(noon, w.shop(), "read")
	return token[:strings.LastIndexByte(token, '.')] + other[strings.LastIndexByte(other, '.'):]
}

// However many forged assertions and tokens came from a source before, a right one passes.
func TestARightCredentialPassesAfterAnyNumberOfForgedOnes(t *testing.T) {
	w := newWorld(t)
	forged := newSigner(t)
	token := w.token(noon, w.shop(), "read")
	for i := range 300 {
		claims := map[string]any{
			"iss": keyed, "sub": keyed, "aud": w.Issuer.String(), "jti": strconv.Itoa(i), "iat": w.now.Unix(), "exp": w.now.Add(time.Minute).Unix(),
		}
		credentials := auth.Credentials{
			Form: form(t, "client_id="+keyed+assertionType+w.sign(forged, claims)), Source: "192.0.2.9", At: w.now,
		}
		if _, err := w.Authenticate(t.Context(), credentials); err == nil {
			t.Fatal("a forged assertion is accepted")
		}
		if got := checked(w.admit(token[:len(token)-8]+fmt.Sprintf("%08d", i), w.shop())); got.reason == "" {
			t.Fatal("a forged token is accepted")
		}
	}
	right := w.assertion("right")
	right.Source = "192.0.2.9"
	if _, err := w.Authenticate(t.Context(), right); err != nil {
		t.Errorf("a right assertion: %v", err)
	}
	if got := checked(w.admit(token, w.shop(), "read")); got.reason != "" {
		t.Errorf("a right token: %q", got.reason)
	}
	if _, err := w.Authenticate(t.Context(), w.credentials(reporting, w.secrets[reporting], "192.0.2.9")); err != nil {
		t.Errorf("a right secret: %v", err)
	}
}

// Each client has its share of the requests in flight, each namespace and each source too, whatever
// one client, many clients of a namespace or other sources hold.
func TestTheRequestsInFlightAreShared(t *testing.T) {
	w := newWorld(t)
	const clients = 50 // of one namespace
	for i := range clients {
		w.register("evil.c" + strconv.Itoa(i))
	}
	enter := func(id, source string) error {
		place, err := w.Enter(source)
		if err != nil {
			return err
		}
		credentials := w.credentials(id, w.secrets[id], source)
		credentials.Place = place
		if _, err = w.Authenticate(t.Context(), credentials); err != nil {
			place.Leave()
		}
		return err
	}
	fill := func(id, source string) (held int) {
		t.Helper()
		for ; ; held++ {
			switch err := enter(id, source); {
			case oauth2.ReasonOf(err) == "Overloaded":
				return held
			case err != nil:
				t.Fatal(err)
			}
		}
	}
	const proxy = "192.0.2.1" // all come from one address
	const share = 4
	evil := fill("evil.c0", proxy)
	if want := 256 + share; evil != want {
		t.Errorf("one client has %d requests in flight, want %d", evil, want)
	}
	if got := fill("evil.c1", proxy); got != share {
		t.Errorf("another client of its namespace has %d, want its share of %d", got, share)
	}
	evil += share
	for i := 2; i < clients; i++ {
		evil += fill("evil.c"+strconv.Itoa(i), proxy)
	}
	if want := 384 + share; evil != want {
		t.Errorf("a namespace has %d requests in flight, want %d", evil, want)
	}
	for _, id := range []string{reporting, gateway} {
		if got := fill(id, proxy); got != share {
			t.Errorf("%s has %d requests in flight, want its share of %d", id, got, share)
		}
	}
	for i := range 20 { // requests that are not authenticated yet
		for held := range share {
			if _, err := w.Enter("198." + strconv.Itoa(51+i) + ".100.1"); err != nil {
				t.Fatalf("source %d has %d requests in flight: %v", i, held, err)
			}
		}
	}
	if _, err := w.Enter("198.51.100.1"); oauth2.ReasonOf(err) != "Overloaded" {
		t.Errorf("a source has more than its share: %v", err)
	}
}

// The sources of one network do not take the shares of others, and one source does not take those
// of its neighbours.
func TestANetworkHasAPartOfThePlacesInFlight(t *testing.T) {
	outside := []string{"203.0.113.9/32", "2620:0:2d0::/64", "10.1.2.3", "10.1.2.4"}
	for name, c := range map[string]struct {
		evil   func(i int) string
		honest []string
	}{
		"a /16":               {func(i int) string { return fmt.Sprintf("198.51.%d.%d/32", i/16, i%250) }, outside},
		"a /24":               {func(i int) string { return fmt.Sprintf("198.51.100.%d/32", i%250) }, append(outside, "198.51.7.7/32", "198.51.8.8/32")},
		"an address":          {func(int) string { return "198.51.100.1/32" }, append(outside, "198.51.100.2/32", "198.51.7.7/32")},
		"a /32":               {func(i int) string { return fmt.Sprintf("2001:db8:%x:%x::/64", i/7, i) }, outside},
		"a /56":               {func(i int) string { return fmt.Sprintf("2001:db8:1:%x::/64", i%250) }, append(outside, "2001:db8:2::/64", "2001:db8:1:100::/64")},
		"a /16 and one /64":   {func(i int) string { return []string{"2001:db8:1::/64", fmt.Sprintf("198.51.%d.7", i%250)}[i%2] }, outside},
		"two /16 and no more": {func(i int) string { return fmt.Sprintf("198.%d.%d.7", 50+i%2, i%250) }, outside},
	} {
		t.Run(name, func(t *testing.T) {
			w, held := newWorld(t), 0
			for i := range 4000 {
				if _, err := w.Enter(c.evil(i)); err == nil {
					held++
				}
			}
			if held < 384 {
				t.Errorf("%d in flight, want at least the 384 that are lent", held)
			}
			for _, honest := range c.honest {
				for i := range 4 {
					if _, err := w.Enter(honest); err != nil {
						t.Errorf("%s has %d requests in flight: %v", honest, i, err)
						break
					}
				}
			}
		})
	}
}

// A request that ends gives back what it had, also if its client was not admitted or not found.
func TestPlacesInFlightAreGivenBack(t *testing.T) {
	w := newWorld(t, func(c *auth.Config) { c.MaxInFlight = 4 })
	for i := range 100 {
		place, err := w.Enter("192.0.2.1")
		must(t, err)
		id, secret := reporting, w.secrets[reporting]
		if i%2 == 0 {
			secret = "wrong"
		}
		credentials := w.credentials(id, secret, "192.0.2.1")
		credentials.Place = place
		_, _ = w.Authenticate(t.Context(), credentials)
		place.Leave()
	}
	for i := range 4 {
		if _, err := w.Enter(strconv.Itoa(i)); err != nil {
			t.Errorf("place %d: %v", i, err)
		}
	}
}
