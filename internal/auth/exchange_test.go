// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package auth_test

import (
	"crypto/rand"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hallpass-dev/hallpass/internal/auth"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
	"github.com/hallpass-dev/hallpass/internal/revocation"
)

const (
	warehouse = "stock.warehouse" // serves stockAPI
	archive   = "files.archive"   // serves filesAPI
)

// chained is a fixture in which gateway, which serves the API of orders, may pass calls on to the
// API of stock, and warehouse from there to that of files.
type chained struct {
	*world

	stockAPI, filesAPI string
}

func newChained(t *testing.T) *chained {
	t.Helper()
	w := &chained{world: newWorld(t)}
	add := func(namespace, from string) string {
		name := oauth2.ObjectName{Namespace: namespace, Name: "api"}
		identifier := w.Issuer.ResourceIdentifier(name)
		w.memory.resources = append(w.memory.resources, &oauth2.Resource{
			Identifier: identifier, UID: "uid-of-" + namespace, Namespace: namespace, Name: "api", Scopes: []string{"a", "b", "c"},
			Consents:  []oauth2.Consent{{Namespaces: []string{"shop"}, Scopes: []string{"a", "b", "c"}}},
			Exchanged: []oauth2.Consent{{Namespaces: []string{from}, Scopes: []string{"a", "b"}}},
		})
		return identifier
	}
	w.stockAPI, w.filesAPI = add("stock", "orders"), add("files", "stock")
	w.register(warehouse)
	w.register(archive)
	for _, id := range []string{gateway, warehouse, archive} {
		w.change(id, exchanges)
		w.change(id, func(c *oauth2.Client, _ *oauth2.Owner) {
			for _, namespace := range []string{"stock", "files"} {
				c.Access = append(c.Access, oauth2.Access{Resource: oauth2.ObjectName{Namespace: namespace, Name: "api"}, Scopes: []string{"a", "b", "c"}})
			}
		})
	}
	w.source = w.memory.clone()
	return w
}

// exchange exchanges a token as a client.
func (w *chained) exchange(id, token, target string, scopes ...string) (auth.Issued, error) {
	w.t.Helper()
	return w.Exchange(w.t.Context(), new(w.caller(id)), oauth2.ExchangeRequest{
		SubjectToken: oauth2.NewSecret(token), TokenRequest: oauth2.TokenRequest{GrantType: oauth2.TokenExchange, Resource: target, Scopes: scopes},
	})
}

// hops exchanges a token of reporting for the API of orders twice, and returns all three.
func (w *chained) hops() (first, second, third string) {
	w.t.Helper()
	first = w.token(w.now, w.ordersAPI, "orders.read")
	one, err := w.exchange(gateway, first, w.stockAPI)
	must(w.t, err)
	two, err := w.exchange(warehouse, one.Value.Reveal(), w.filesAPI)
	must(w.t, err)
	return first, one.Value.Reveal(), two.Value.Reveal()
}

// passedOn is a token for the API of orders that was passed on a number of times, of which the last
// client is reporting.
func (w *chained) passedOn(times int) string {
	w.t.Helper()
	key, err := w.memory.ring.SigningKey(noon)
	must(w.t, err)
	clients := []string{"c.c", "b.b", "a.a", "shop.first"}[4-times:]
	chain := &oauth2.Chain{Subject: "shop.first", Until: noon.Add(time.Hour), Actors: clients[:times-1]}
	for _, id := range clients {
		w.register(id)
		w.change(id, exchanges)
		chain.Ancestors = append(chain.Ancestors, oauth2.Ancestor{ID: rand.Text()[:21] + "A", ClientID: id, ClientUID: "uid-of-" + id, KeyID: key.ID(), IssuedAt: noon})
	}
	w.change(reporting, exchanges)
	w.memory.resources[0].Exchanged = w.memory.resources[0].Consents
	w.source = w.memory.clone()
	return w.issued(noon, oauth2.Grant{Audience: w.ordersAPI, Scopes: []string{"orders.read"}, Lifetime: time.Hour, For: chain}).Value.Reveal()
}

func exchanges(c *oauth2.Client, _ *oauth2.Owner) {
	c.GrantTypes = oauth2.ClientCredentials | oauth2.TokenExchange
}

func TestATokenIsPassedOn(t *testing.T) {
	w := newChained(t)
	first := w.issued(noon.Add(-50*time.Minute), oauth2.Grant{Audience: w.ordersAPI, Scopes: []string{"orders.read"}, Lifetime: time.Hour})
	one, err := w.exchange(gateway, first.Value.Reveal(), w.stockAPI, "b")
	must(t, err)
	two, err := w.exchange(warehouse, one.Value.Reveal(), w.filesAPI)
	must(t, err)
	parent := func(token oauth2.Token) oauth2.Ancestor {
		c := token.Claims
		return oauth2.Ancestor{ID: c.ID, ClientID: c.ClientID, ClientUID: c.ClientUID, KeyID: token.KeyID, IssuedAt: c.IssuedAt}
	}
	want := &oauth2.Claims{
		Issuer: w.Issuer.String(), Subject: reporting, Audience: w.filesAPI, ClientID: warehouse, ClientUID: "uid-of-" + warehouse, Scopes: []string{"a", "b"},
		ID: two.Claims.ID, IssuedAt: noon, ExpiresAt: noon.Add(10 * time.Minute), Actors: []string{warehouse, gateway},
		Ancestors: []oauth2.Ancestor{parent(one.Token), parent(first)},
	}
	if diff := cmp.Diff(want, two.Claims); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"b"}, one.Claims.Scopes); diff != "" {
		t.Error(diff)
	}
	trail := two.Trail
	if trail.ClientID != warehouse || trail.Token.Subject != reporting || trail.Token.ID != two.Claims.ID || trail.SubjectTokenID != one.Claims.ID || trail.Token.Audience != w.filesAPI {
		t.Errorf("%+v", trail)
	}
	result, err := w.introspect(archive, two.Value.Reveal())
	if err != nil || result.Denial != "" || result.Claims.Subject != reporting || result.Client.ID != warehouse || result.Trail.Token.Subject != reporting {
		t.Errorf("%+v, %v", result, err)
	}
	admitted, err := w.admit(two.Value.Reveal(), w.filesAPI, "a")
	if err != nil || admitted.Trail.ClientID != warehouse || admitted.Trail.Token.Subject != reporting {
		t.Errorf("%+v, %v", admitted, err)
	}
}

func TestWhoMayExchangeWhat(t *testing.T) {
	allow := func(w *chained) { // everything, of everybody
		for i, r := range w.memory.resources {
			open := *r
			open.Exchanged = []oauth2.Consent{{Namespaces: []string{"files", "orders", "shop", "stock"}, Scopes: r.Scopes}}
			w.memory.resources[i] = &open
		}
		for id := range w.memory.clients {
			w.change(id, exchanges)
		}
		w.source = w.memory.clone()
	}
	for name, c := range map[string]struct {
		before func(*chained)
		caller string
		token  func(*chained) string
		target func(*chained) string
		scopes []string
		code   oauth2.ErrorCode
		denial oauth2.Reason
	}{
		"a client that does not serve the audience, whatever is consented to": {before: allow, caller: warehouse, code: oauth2.InvalidRequest, denial: oauth2.ReasonNotForCaller},
		"the client that the token was issued to":                             {before: allow, caller: reporting, code: oauth2.InvalidRequest, denial: oauth2.ReasonNotForCaller},
		"the client that the token was issued to, which serves the audience": {
			before: allow, caller: gateway, code: oauth2.InvalidRequest,
			token: func(w *chained) string {
				issued, err := w.Issue(w.t.Context(), new(w.caller(gateway)), oauth2.TokenRequest{GrantType: oauth2.ClientCredentials})
				must(w.t, err)
				return issued.Value.Reveal()
			},
		},
		"a token that comes back to its subject": {
			before: allow, caller: archive, code: oauth2.InvalidRequest,
			token: func(w *chained) string {
				w.change(archive, func(c *oauth2.Client, _ *oauth2.Owner) {
					c.Access = append(c.Access, oauth2.Access{Resource: oauth2.ObjectName{Namespace: "orders", Name: "api"}, Scopes: []string{"orders.read"}})
				})
				w.memory.resources[0].Consents = []oauth2.Consent{{Namespaces: []string{"files"}, Scopes: []string{"orders.read"}}}
				w.source = w.memory.clone()
				own, err := w.Issue(w.t.Context(), new(w.caller(archive)), oauth2.TokenRequest{GrantType: oauth2.ClientCredentials, Resource: w.ordersAPI})
				must(w.t, err)
				back, err := w.exchange(gateway, own.Value.Reveal(), w.filesAPI)
				must(w.t, err)
				return back.Value.Reveal()
			},
		},
		"a client without the grant type": {
			before: func(w *chained) {
				w.change(gateway, func(c *oauth2.Client, _ *oauth2.Owner) { c.GrantTypes = oauth2.ClientCredentials })
				w.source = w.memory.clone()
			},
			caller: gateway, code: oauth2.UnauthorizedClient,
		},
		"an API that consents to clients alone": {
			before: func(w *chained) {
				w.memory.resources[1].Consents = []oauth2.Consent{{Namespaces: []string{"orders"}, Scopes: []string{"a", "b", "c"}}}
				w.memory.resources[1].Exchanged = nil
			},
			caller: gateway, code: oauth2.InvalidTarget,
		},
		"a scope that it consents to for clients alone": {
			before: func(w *chained) {
				w.memory.resources[1].Consents = []oauth2.Consent{{Namespaces: []string{"orders"}, Scopes: []string{"a", "b", "c"}}}
			},
			caller: gateway, scopes: []string{"a", "c"}, code: oauth2.InvalidScope,
		},
		"an API that the client does not ask for": {
			before: func(w *chained) {
				allow(w)
				w.change(gateway, func(c *oauth2.Client, _ *oauth2.Owner) { c.Access = nil })
				w.source = w.memory.clone()
			},
			caller: gateway, code: oauth2.InvalidTarget,
		},
		"the audience that the token has already": {before: allow, caller: gateway, target: func(w *chained) string { return w.ordersAPI }, code: oauth2.InvalidTarget},
		"the audience of the client's namespace": {
			before: allow, caller: gateway, target: func(w *chained) string { return w.Issuer.NamespaceAudience("orders") }, code: oauth2.InvalidTarget,
		},
		"while a token server may not read it": {
			before: func(w *chained) { w.memory.resources[1].ExchangeHeld = true }, caller: gateway, code: oauth2.TemporarilyUnavailable,
		},
		"a token that was passed on four times": {
			caller: gateway, code: oauth2.InvalidRequest, token: func(w *chained) string { return w.passedOn(4) },
		},
		"a token of an OAuth2Token": {
			caller: gateway, code: oauth2.InvalidRequest,
			token: func(w *chained) string {
				w.memory.clients[gateway].Client.Namespace = "shop"
				return w.mint(false)
			},
		},
		"an opaque token": {
			caller: gateway, code: oauth2.InvalidRequest,
			token: func(w *chained) string {
				w.memory.clients[gateway].Client.Namespace = "shop"
				return w.mint(true)
			},
		},
		"an expired token": {
			caller: gateway, code: oauth2.InvalidRequest, denial: oauth2.ReasonTokenExpired,
			token: func(w *chained) string { return w.token(noon.Add(-time.Hour), w.ordersAPI, "orders.read") },
		},
		"a token that is none": {caller: gateway, code: oauth2.InvalidRequest, denial: oauth2.ReasonTokenMalformed, token: func(*chained) string { return "a.b.c" }},
		"a revoked token": {
			caller: gateway, code: oauth2.InvalidRequest, denial: oauth2.ReasonSuspended,
			before: func(w *chained) {
				w.change(reporting, func(c *oauth2.Client, _ *oauth2.Owner) { c.Suspended = true })
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newChained(t)
			if c.before != nil {
				c.before(w)
			}
			token, target := w.token(noon, w.ordersAPI, "orders.read"), w.stockAPI
			if c.token != nil {
				token = c.token(w)
			}
			if c.target != nil {
				target = c.target(w)
			}
			issued, err := w.exchange(c.caller, token, target, c.scopes...)
			if codeOf(err) != c.code || issued.Trail.Denial != c.denial {
				t.Errorf("%v, denial %q", err, issued.Trail.Denial)
			}
		})
	}
}

// Whatever ends a token ends what it was exchanged for, however often.
func TestWhatEndsATokenEndsItsDescendants(t *testing.T) {
	for name, end := range map[string]func(w *chained, first, second string){
		"the first is revoked":  func(w *chained, first, _ string) { w.revokeOne(gateway, first) },
		"the second is revoked": func(w *chained, _, second string) { w.revokeOne(warehouse, second) },
		"the first client is suspended": func(w *chained, _, _ string) {
			w.change(reporting, func(c *oauth2.Client, _ *oauth2.Owner) { c.Suspended = true })
		},
		"the second client is deleted": func(w *chained, _, _ string) {
			delete(w.memory.clients, gateway)
			delete(w.source.clients, gateway)
		},
		"the first client was made anew": func(w *chained, _, _ string) {
			w.change(reporting, func(c *oauth2.Client, o *oauth2.Owner) { c.UID, o.UID = "another", "another" })
			w.source = w.memory.clone()
		},
		"the tokens of the first client are revoked": func(w *chained, _, _ string) {
			w.change(reporting, func(_ *oauth2.Client, o *oauth2.Owner) { o.RevokedBefore = noon.Add(time.Second) })
		},
		"a selector has the second client": func(w *chained, _, _ string) {
			w.revoked.Select("s", revocation.Selector{ClientID: gateway, IssuedBefore: noon.Add(time.Second)})
		},
		"a selector has the first namespace": func(w *chained, _, _ string) {
			w.revoked.Select("s", revocation.Selector{Namespace: "shop", IssuedBefore: noon.Add(time.Second)})
		},
		"the second client may no longer exchange": func(w *chained, _, _ string) { w.withoutExchange(gateway) },
		"the last client may no longer exchange":   func(w *chained, _, _ string) { w.withoutExchange(warehouse) },
		"the last API withdraws its consent":       func(w *chained, _, _ string) { w.memory.resources[2].Exchanged = nil },
		"the last API consents to clients alone": func(w *chained, _, _ string) {
			w.memory.resources[2].Consents, w.memory.resources[2].Exchanged = w.memory.resources[2].Exchanged, nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newChained(t)
			first, second, third := w.hops()
			for _, caller := range []string{archive, warehouse} {
				if result, err := w.introspect(caller, third); err != nil || result.Denial != "" {
					t.Fatalf("%s, before: %q, %v", caller, result.Denial, err)
				}
			}
			end(w, first, second)
			if result, err := w.introspect(archive, third); err != nil || result.Denial == "" {
				t.Errorf("still good: %v, %v", result.Claims, err)
			}
			if result, err := w.admit(third, w.filesAPI); err == nil {
				t.Errorf("a proxy lets it pass: %v", result.Claims)
			}
			if _, err := w.exchange(archive, third, w.stockAPI); err == nil {
				t.Error("it is passed on")
			}
		})
	}
}

// withoutExchange takes the grant type from a client, in memory and at the source.
func (w *chained) withoutExchange(id string) {
	w.change(id, func(c *oauth2.Client, _ *oauth2.Owner) { c.GrantTypes = oauth2.ClientCredentials })
	w.source = w.memory.clone()
}

// A replica that does not know yet that the client of a token, or of its ancestor, may exchange
// looks that up, and only for a young token.
func TestTheGrantTypesOfAncestorsAreLookedUp(t *testing.T) {
	for name, id := range map[string]string{"the client of an ancestor": gateway, "the client of the token": warehouse} {
		t.Run(name, func(t *testing.T) {
			w := newChained(t)
			_, _, third := w.hops()
			w.change(id, func(c *oauth2.Client, _ *oauth2.Owner) { c.GrantTypes = oauth2.ClientCredentials })
			if result, err := w.introspect(archive, third); err != nil || result.Denial != "" {
				t.Errorf("at once: %q, %v", result.Denial, err)
			}
			w.now, w.questions = noon.Add(time.Minute), nil
			if result, err := w.introspect(archive, third); err != nil || result.Denial != oauth2.ReasonGrantTypeNotAllowed || len(w.questions) > 0 {
				t.Errorf("a minute later: %q, %v, after %q", result.Denial, err, w.questions)
			}
		})
	}
}

func codeOf(err error) oauth2.ErrorCode {
	if refusal, ok := errors.AsType[*oauth2.Error](err); ok {
		return refusal.Code
	}
	return ""
}

func (w *chained) revokeOne(server, token string) {
	w.t.Helper()
	result, err := w.introspect(server, token)
	must(w.t, err)
	claims := result.Claims
	w.revoked.Revoke(revocation.EntryOf(claims), revocation.Client{ID: claims.ClientID, Namespace: result.Client.Namespace}, noon)
}

// A consent that is withdrawn in part takes the scope from tokens that exist.
func TestAnExchangedTokenIsCutBack(t *testing.T) {
	w := newChained(t)
	_, _, third := w.hops()
	cut := *w.memory.resources[2]
	cut.Exchanged = []oauth2.Consent{{Namespaces: []string{"stock"}, Scopes: []string{"b", "c"}}}
	w.memory.resources[2] = &cut
	w.source = w.memory.clone()
	result, err := w.introspect(archive, third)
	must(t, err)
	if diff := cmp.Diff([]string{"b"}, result.Claims.Scopes); diff != "" {
		t.Error(diff)
	}
}

// The client of an ancestor that a replica does not know yet is looked up, and not taken for gone.
func TestTheClientsOfAncestorsAreLookedUp(t *testing.T) {
	w := newChained(t)
	_, _, third := w.hops()
	delete(w.memory.clients, reporting)
	delete(w.memory.clients, gateway)
	w.questions = nil
	result, err := w.introspect(archive, third)
	if err != nil || result.Denial != "" {
		t.Errorf("%q, %v", result.Denial, err)
	}
	if diff := cmp.Diff([]string{"client " + gateway, "client " + reporting}, w.questions); diff != "" {
		t.Error(diff)
	}
	w.away = errAway
	if _, err := w.introspect(archive, third); codeOf(err) != oauth2.TemporarilyUnavailable {
		t.Errorf("the source is away: %v", err)
	}
}

// The grant type is decided before the token that is sent. A client that got the grant type a
// moment ago is looked up once; one that does not have it learns nothing about the token.
func TestTheGrantTypeIsDecidedBeforeTheToken(t *testing.T) {
	w := newChained(t)
	first := w.token(noon, w.ordersAPI, "orders.read")
	without := func(c *oauth2.Client, _ *oauth2.Owner) { c.GrantTypes = oauth2.ClientCredentials }
	w.change(gateway, without)
	w.questions = nil
	if issued, err := w.exchange(gateway, first, w.stockAPI); err != nil || issued.Claims.ClientID != gateway {
		t.Errorf("a client that has the grant type at the source: %v", err)
	}
	if diff := cmp.Diff([]string{"client " + gateway, "resource " + w.stockAPI}, w.questions); diff != "" {
		t.Errorf("questions (-want +got):\n%s", diff)
	}
	w.source = w.memory.clone()
	for name, token := range map[string]string{"a token that was sent to it": first, "one that was sent to another client": w.token(noon, w.stockAPI, "a"), "none": "a.b.c"} {
		issued, err := w.exchange(gateway, token, w.stockAPI)
		if codeOf(err) != oauth2.UnauthorizedClient || issued.Trail.Denial != "" || issued.Trail.Token.ClientID != "" {
			t.Errorf("%s: %v, trail %+v", name, err, issued.Trail)
		}
	}
}

// An ancestor costs no allocation when a token is checked. A token of more than 2 KiB would cost
// one for its hash.
func TestAnAncestorAllocatesNothing(t *testing.T) {
	w := newChained(t)
	count := func(times int) float64 {
		token := w.passedOn(times)
		return testing.AllocsPerRun(100, func() {
			if result, err := w.introspect(gateway, token); err != nil || result.Denial != "" {
				t.Fatalf("%q, %v", result.Denial, err)
			}
		})
	}
	if one, two := count(1), count(2); two > one {
		t.Errorf("a token with two ancestors allocates %.0f times, one with one %.0f times", two, one)
	}
}
