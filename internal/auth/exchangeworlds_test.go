// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package auth_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/url"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hallpass-dev/hallpass/internal/auth"
	"github.com/hallpass-dev/hallpass/internal/jws"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
	"github.com/hallpass-dev/hallpass/internal/revocation"
)

// The random graphs of TestNoChainHasMoreThanOwnersGave: a few in make test, and all in make long.
const (
	someWorlds = 2_000
	allWorlds  = 100_000
)

// graph is a random set of clients, APIs and consents, by which a slow reference decides. It shares
// no code with the product.
type graph struct {
	clients []*graphClient
	apis    []*graphAPI
	tokens  []*graphToken
	// trusting are the namespaces whose clients may act for persons.
	trusting []string
}

type graphClient struct {
	id, namespace, name string
	exchanges, acts     bool // for subjects of others, and for persons
	// asks are the scopes that it asks for, by API.
	asks    map[*graphAPI][]string
	deleted bool
}

type graphAPI struct {
	namespace, name, identifier string
	// consents are those of the owner, by for whom a client acts.
	consents map[subjects][]graphConsent
	servers  []*graphClient // none are all of the namespace
}

// subjects are for whom a client acts: whether for a person, and whether by a token that it was
// sent.
type subjects struct{ person, exchanged bool }

type graphConsent struct {
	namespace string
	scopes    []string
}

type graphToken struct {
	value  string
	id     string
	client *graphClient
	// api is nil for the audience of the client's namespace.
	api    *graphAPI
	scopes []string
	// person is the sub of a person; empty if the first client acts for itself.
	person string
	// from is the token that it was exchanged for; nil for one of a client for itself.
	from    *graphToken
	revoked bool
	// earlier means that it was issued before the tokens of its client were revoked.
	earlier bool
}

// first is the client that was issued the first token.
func (t *graphToken) first() *graphClient {
	for t.from != nil {
		t = t.from
	}
	return t.client
}

func (t *graphToken) subject() string {
	if t.person != "" {
		return t.person
	}
	return t.first().id
}

func (t *graphToken) acting() subjects { return subjects{t.person != "", t.from != nil} }

func (t *graphToken) hops() (n int) {
	for ; t.from != nil; t = t.from {
		n++
	}
	return n
}

// gave returns what an owner gave a client of what it asks for, for itself or for others.
func (g *graph) gave(c *graphClient, api *graphAPI, acting subjects) (scopes []string) {
	for _, scope := range c.asks[api] {
		for _, consent := range api.consents[acting] {
			if consent.namespace == c.namespace && slices.Contains(consent.scopes, scope) && !slices.Contains(scopes, scope) {
				scopes = append(scopes, scope)
			}
		}
	}
	return scopes
}

// serves reports whether the owner of the audience of a token named the client as its server.
func (g *graph) serves(c *graphClient, t *graphToken) bool {
	switch {
	case t.api == nil:
		return c.namespace == t.client.namespace
	case len(t.api.servers) > 0:
		return slices.Contains(t.api.servers, c)
	}
	return c.namespace == t.api.namespace
}

// left returns the scopes that are left of a token; ok is whether it is good.
func (g *graph) left(t *graphToken) (scopes []string, ok bool) {
	for a := t; a != nil; a = a.from {
		if a.revoked || a.earlier || a.client.deleted || a.from != nil && !a.client.exchanges {
			return nil, false
		}
	}
	if t.person != "" && !slices.Contains(g.trusting, t.first().namespace) {
		return nil, false
	}
	if t.api == nil {
		return t.scopes, true
	}
	gave := g.gave(t.client, t.api, t.acting())
	for _, scope := range t.scopes {
		if slices.Contains(gave, scope) {
			scopes = append(scopes, scope)
		}
	}
	return scopes, len(scopes) > 0
}

// exchanged returns the scopes of the token that a client gets in exchange for another one; ok is
// whether it gets one.
func (g *graph) exchanged(c *graphClient, t *graphToken, api *graphAPI, asked []string) (scopes []string, ok bool) {
	if _, good := g.left(t); !good || !g.serves(c, t) || !c.exchanges || c.deleted || t.api == api {
		return nil, false
	}
	if t.client == c || t.subject() == c.id || t.hops() == 4 {
		return nil, false
	}
	scopes = g.gave(c, api, subjects{t.person != "", true})
	for _, scope := range asked {
		if !slices.Contains(scopes, scope) {
			return nil, false
		}
	}
	if len(asked) > 0 && len(scopes) > 0 {
		scopes = asked
	}
	return scopes, len(scopes) > 0
}

var graphScopes = []string{"r", "w", "x"}

func someOf[T any](random *rand.Rand, list []T, odds float64) (some []T) {
	for _, one := range list {
		if random.Float64() < odds {
			some = append(some, one)
		}
	}
	return some
}

func newGraph(random *rand.Rand, number int) *graph {
	g := &graph{trusting: []string{fmt.Sprintf("n%d-0", number), fmt.Sprintf("n%d-1", number)}}
	namespace := func() string { return fmt.Sprintf("n%d-%d", number, random.IntN(3)) }
	for i := range 4 + random.IntN(4) {
		c := &graphClient{namespace: namespace(), name: fmt.Sprint("c", i), exchanges: random.IntN(5) > 0, acts: random.IntN(3) > 0, asks: map[*graphAPI][]string{}}
		c.id = c.namespace + "." + c.name
		g.clients = append(g.clients, c)
	}
	for i := range 3 + random.IntN(3) {
		api := &graphAPI{namespace: namespace(), name: fmt.Sprint("a", i), consents: map[subjects][]graphConsent{}}
		for _, person := range []bool{false, true} {
			for range random.IntN(5) {
				api.consents[subjects{person, false}] = append(api.consents[subjects{person, false}], graphConsent{namespace(), someOf(random, graphScopes, 0.6)})
			}
			for range 1 + random.IntN(6) {
				api.consents[subjects{person, true}] = append(api.consents[subjects{person, true}], graphConsent{namespace(), someOf(random, graphScopes, 0.6)})
			}
		}
		if random.IntN(3) == 0 {
			api.servers = someOf(random, g.clients, 0.5)
		}
		g.apis = append(g.apis, api)
		for _, c := range g.clients {
			if asks := someOf(random, graphScopes, 0.7); len(asks) > 0 && random.IntN(5) > 0 {
				c.asks[api] = asks
			}
		}
	}
	return g
}

// install gives the records of the graph to the memory and the source.
func (g *graph) install(w *world) {
	w.memory.clients, w.memory.resources = map[string]oauth2.Record{}, nil
	consents := func(list []graphConsent) (consents []oauth2.Consent) {
		for _, c := range list {
			consents = append(consents, oauth2.Consent{Namespaces: []string{c.namespace}, Scopes: c.scopes})
		}
		return consents
	}
	for _, api := range g.apis {
		api.identifier = w.Issuer.ResourceIdentifier(oauth2.ObjectName{Namespace: api.namespace, Name: api.name})
		r := &oauth2.Resource{
			Identifier: api.identifier, UID: "uid", Namespace: api.namespace, Name: api.name, Scopes: graphScopes,
			Consents: consents(api.consents[subjects{}]), Exchanged: consents(api.consents[subjects{false, true}]),
			Users: consents(api.consents[subjects{true, false}]), ExchangedUsers: consents(api.consents[subjects{true, true}]),
		}
		for _, c := range api.servers {
			r.Introspectors = append(r.Introspectors, oauth2.ObjectName{Namespace: c.namespace, Name: c.name})
		}
		w.memory.resources = append(w.memory.resources, r)
	}
	for _, c := range g.clients {
		if c.deleted {
			continue
		}
		client := &oauth2.Client{
			ID: c.id, UID: "uid-of-" + c.id, Namespace: c.namespace, Name: c.name, Scopes: []string{"own"}, Tokens: oauth2.TokenForm{Lifetime: time.Hour},
			GrantTypes: oauth2.ClientCredentials,
		}
		if c.exchanges {
			client.GrantTypes |= oauth2.TokenExchange
		}
		if c.acts {
			client.GrantTypes |= oauth2.JWTBearer
		}
		for _, api := range g.apis {
			if len(c.asks[api]) > 0 {
				client.Access = append(client.Access, oauth2.Access{Resource: oauth2.ObjectName{Namespace: api.namespace, Name: api.name}, Scopes: c.asks[api]})
			}
		}
		w.memory.clients[c.id] = oauth2.Record{Client: client, Owner: &oauth2.Owner{UID: client.UID}}
	}
	keys, err := jws.PackKeys(w.signer.Public())
	must(w.t, err)
	w.memory.issuers = map[string]*oauth2.TrustedIssuer{"corp": {
		Name: "corp", UID: "uid-of-corp", Issuer: graphIssuer, Uses: oauth2.UsePerson, Keys: oauth2.IssuerKeys{Set: keys}, Delegations: []oauth2.Delegation{{Namespaces: g.trusting}},
	}}
	w.source = w.memory.clone()
}

const graphIssuer = "https://idp.example.com"

// graphRun is a graph with the Authority that has to agree with it.
type graphRun struct {
	*world
	*graph

	random *rand.Rand
	// passed counts the exchanges that are granted, by the number of hops, and persons those
	// of persons.
	passed, persons *[5]int
}

func (r *graphRun) callerOf(c *graphClient) auth.Caller {
	return auth.Caller{Record: r.memory.clients[c.id], At: r.now}
}

// fetch has a client fetch a token for itself.
func (r *graphRun) fetch() {
	c := r.clients[r.random.IntN(len(r.clients))]
	if c.deleted {
		return
	}
	token := &graphToken{client: c, scopes: []string{"own"}}
	request := oauth2.TokenRequest{GrantType: oauth2.ClientCredentials}
	if r.random.IntN(4) > 0 {
		token.api = r.apis[r.random.IntN(len(r.apis))]
		token.scopes, request.Resource = r.gave(c, token.api, subjects{}), token.api.identifier
	}
	issued, err := r.Issue(r.t.Context(), new(r.callerOf(c)), request)
	if (err == nil) != (len(token.scopes) > 0) {
		r.t.Fatalf("%s fetches a token for %q: %v, want %q", c.id, request.Resource, err, token.scopes)
	}
	if err == nil {
		r.keep(token, issued, nil)
	}
}

// act has a client act for a person.
func (r *graphRun) act() {
	c, api := r.clients[r.random.IntN(len(r.clients))], r.apis[r.random.IntN(len(r.apis))]
	if c.deleted {
		return
	}
	token := &graphToken{client: c, api: api, person: fmt.Sprint("user:corp:u", r.random.IntN(3))}
	if c.acts && slices.Contains(r.trusting, c.namespace) {
		token.scopes = r.gave(c, api, subjects{person: true})
	}
	payload, err := json.Marshal(map[string]any{
		"iss": graphIssuer, "sub": token.person[len("user:corp:"):], "aud": r.Issuer.String(), "client_id": c.id, "jti": fmt.Sprint(len(r.tokens), r.now),
		"iat": r.now.Unix(), "exp": r.now.Add(time.Minute).Unix(),
	})
	must(r.t, err)
	assertion, err := r.signer.Sign(oauth2.IdentityAssertionType, payload)
	must(r.t, err)
	request, err := oauth2.ParsePersonRequest(form(r.t, url.Values{
		"grant_type": {oauth2.GrantJWTBearer}, "assertion": {assertion}, "resource": {api.identifier},
	}.Encode()))
	must(r.t, err)
	issued, err := auth.Grants{Authority: r.Authority}.ActFor(r.t.Context(), new(r.callerOf(c)), request)
	if (err == nil) != (len(token.scopes) > 0) {
		r.t.Fatalf("%s acts for %s at %s: %v, want %q", c.id, token.person, api.identifier, err, token.scopes)
	}
	if err == nil {
		r.persons[0]++
		r.keep(token, issued, nil)
	}
}

// keep checks an issued token, and remembers it.
func (r *graphRun) keep(token *graphToken, issued auth.Issued, actors []string) {
	claims := issued.Claims
	slices.Sort(token.scopes)
	scopes := slices.Sorted(slices.Values(claims.Scopes))
	if claims.Subject != token.subject() || claims.ClientID != token.client.id || !slices.Equal(scopes, token.scopes) || !slices.Equal(claims.Actors, actors) {
		r.t.Fatalf("a token of %s for %s, actors %q, scopes %q; want %+v", claims.ClientID, claims.Subject, claims.Actors, scopes, token)
	}
	token.value, token.id = issued.Value.Reveal(), claims.ID
	r.tokens = append(r.tokens, token)
}

// exchange has any client exchange any token for any API.
func (r *graphRun) exchangeAny() {
	if len(r.tokens) == 0 {
		return
	}
	c, from, api := r.clients[r.random.IntN(len(r.clients))], r.tokens[r.random.IntN(len(r.tokens))], r.apis[r.random.IntN(len(r.apis))]
	if r.random.IntN(3) > 0 { // more often one that may, and the latest token
		from = r.tokens[len(r.tokens)-1]
		if i := slices.IndexFunc(r.clients, func(c *graphClient) bool {
			return r.serves(c, from) && c != from.client && len(r.gave(c, api, subjects{from.person != "", true})) > 0
		}); i >= 0 {
			c = r.clients[i]
		}
	}
	if c.deleted {
		return
	}
	asked := someOf(r.random, graphScopes, 0.3)
	want, ok := r.exchanged(c, from, api, asked)
	issued, err := r.Exchange(r.t.Context(), new(r.callerOf(c)), oauth2.ExchangeRequest{
		SubjectToken: oauth2.NewSecret(from.value),
		TokenRequest: oauth2.TokenRequest{GrantType: oauth2.TokenExchange, Resource: api.identifier, Scopes: asked},
	})
	if (err == nil) != ok {
		r.t.Fatalf("%s exchanges %+v for %s, asks for %q: %v, want %q", c.id, from, api.identifier, asked, err, want)
	}
	if err != nil {
		return
	}
	token := &graphToken{client: c, api: api, scopes: slices.Clone(want), from: from, person: from.person}
	var actors []string
	for t := token; t.from != nil; t = t.from {
		actors = append(actors, t.client.id)
	}
	counted := r.passed
	if token.person != "" {
		counted = r.persons
	}
	counted[token.hops()]++
	r.keep(token, issued, actors)
}

// change lets one thing happen that ends tokens or cuts them back.
func (r *graphRun) change() {
	c, api := r.clients[r.random.IntN(len(r.clients))], r.apis[r.random.IntN(len(r.apis))]
	switch r.random.IntN(8) {
	case 0:
		if len(r.tokens) > 0 {
			token := r.tokens[r.random.IntN(len(r.tokens))]
			token.revoked = true
			r.revoked.Revoke(revocation.NewEntry(revocation.IDOf(token.id), r.now.Add(time.Hour)), revocation.Client{ID: token.client.id, Namespace: token.client.namespace}, r.now)
		}
		return
	case 1:
		c.deleted = true
	case 2:
		for _, token := range r.tokens {
			token.earlier = token.earlier || token.client == c
		}
		r.revoked.Select(c.id, revocation.Selector{ClientID: c.id, IssuedBefore: r.now.Add(time.Second)})
		r.now = r.now.Add(2 * time.Second)
	case 3:
		acting := subjects{r.random.IntN(2) > 0, r.random.IntN(3) > 0}
		api.consents[acting] = api.consents[acting][:len(api.consents[acting])/2]
	case 4:
		c.exchanges = false
	case 5:
		r.trusting = r.trusting[:len(r.trusting)/2]
	default:
		delete(c.asks, api)
	}
	r.install(r.world)
}

// agree checks every token as a client that serves its audience.
func (r *graphRun) agree() {
	for _, token := range r.tokens {
		want, ok := r.left(token)
		for _, c := range r.clients {
			if c.deleted || !r.serves(c, token) && c != token.client {
				continue
			}
			result, err := r.introspect(c.id, token.value)
			good := err == nil && result.Denial == ""
			if good != ok {
				r.t.Fatalf("%s checks %+v: %q, %v; want %q", c.id, token, result.Denial, err, want)
			}
			if good && !slices.Equal(slices.Sorted(slices.Values(result.Claims.Scopes)), want) {
				r.t.Fatalf("%s checks %+v: %s", c.id, token, cmp.Diff(want, result.Claims.Scopes))
			}
			break
		}
	}
}

// No chain of exchanges has a scope that the owner of the API did not give its last client for
// exchanged tokens of such subjects, and no client exchanges a token that was not sent to it.
func TestNoChainHasMoreThanOwnersGave(t *testing.T) {
	worlds := allWorlds
	if testing.Short() {
		worlds = someWorlds
	}
	var passed, persons [5]int
	w := newWorld(t)
	for number := range worlds {
		random := rand.New(rand.NewPCG(uint64(number), 22)) //nolint:gosec // reproducible
		r := &graphRun{world: w, graph: newGraph(random, number), random: random, passed: &passed, persons: &persons}
		r.install(w)
		w.now, w.questions = w.now.Add(10*time.Second), nil
		for range 16 {
			switch random.IntN(14) {
			case 0, 1:
				r.fetch()
			case 2, 3:
				r.act()
			case 4:
				r.change()
			default:
				r.exchangeAny()
			}
		}
		r.agree()
		if t.Failed() {
			t.Fatalf("world %d", number)
		}
	}
	for hops := 1; hops <= 3; hops++ {
		if passed[hops] == 0 || persons[hops] == 0 {
			t.Errorf("no token was passed on %d times: %v, of persons %v", hops, passed, persons)
		}
	}
	t.Logf("exchanges by their hops: %v, of persons %v", passed, persons)
}
