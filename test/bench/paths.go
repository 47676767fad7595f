// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"net/http"
	"net/url"
	"time"

	"github.com/hallpass-dev/hallpass/internal/jws"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
	"github.com/hallpass-dev/hallpass/test/bench/population"
)

// path is something that both servers do.
type path struct {
	name      string
	transport transport
	goal      float64 // of the ratio to the floor; 0 if there is none
	// prepare makes the requests of one turn before the clock runs; the servers of one
	// comparison get the same. The floor has an address of its own for some.
	prepare   func(w *world, round int) ([]call, error)
	floorPath string
	// inactive: the right answer of this path is that a token is not active.
	inactive bool
}

// The names of paths.
const (
	fetching   = "token"
	seenBefore = "introspection, seen before"
	forwarding = "forward-auth, seen before"
	forEnvoy   = "ext_authz, seen before"
)

// paths are those that are measured with an algorithm.
func paths(algorithm jws.Algorithm) []path {
	if algorithm != jws.ES256 {
		return []path{
			{name: "token, Ed25519", transport: plainHTTP, goal: 1.15, prepare: tokenRequests},
			{name: "introspection, not seen before, Ed25519", transport: plainHTTP, goal: 1.1, prepare: introspections((*population.Population).Token), floorPath: "/verify"},
		}
	}
	return []path{
		{name: fetching, transport: plainHTTP, goal: 1.1, prepare: tokenRequests},
		{name: seenBefore, transport: plainHTTP, goal: 1.15, prepare: introspectionsOfSeen},
		{name: "introspection, not seen before", transport: plainHTTP, goal: 1.1, prepare: introspections((*population.Population).Token), floorPath: "/verify"},
		{name: "introspection, forged", transport: plainHTTP, goal: 1.1, prepare: introspections((*population.Population).Forge), floorPath: "/verify", inactive: true},
		{name: "token, federated JWT", transport: plainHTTP, goal: 1.15, prepare: jobRequests, floorPath: "/federated"},
		{name: "exchange, seen before", transport: plainHTTP, goal: 1.2, prepare: exchangesOfSeen, floorPath: "/exchange"},
		{name: "exchange, not seen before", transport: plainHTTP, goal: 1.2, prepare: exchanges, floorPath: "/exchange-verified"},
		{name: "code", transport: plainHTTP, goal: 1.3, prepare: redemptions, floorPath: "/redeem"},
		{name: "refresh token that stays", transport: plainHTTP, goal: 1.2, prepare: refreshes, floorPath: "/refresh"},
		{name: forwarding, transport: plainHTTP, goal: 1.15, prepare: each((*world).forwardAuth)},
		{name: forEnvoy, transport: plainGRPC, goal: 1.15, prepare: each((*world).question)},
		{name: "key set", transport: plainHTTP, goal: 1.1, prepare: each(get(oauth2.JWKSPath))},
		{name: "metadata", transport: plainHTTP, goal: 1.1, prepare: each(get(oauth2.MetadataPath))},
		{name: fetching, transport: overTLS13, goal: 1.1, prepare: tokenRequests},
		{name: fetching, transport: overHTTP2, goal: 1.1, prepare: tokenRequests},
		{name: fetching, transport: handshake, goal: 1.05, prepare: tokenRequests},
		{name: seenBefore, transport: overTLS13, goal: 1.15, prepare: introspectionsOfSeen},
	}
}

func basic(c population.Client) string {
	request := http.Request{Header: http.Header{}}
	request.SetBasicAuth(c.ID, c.Secret.Reveal())
	return request.Header.Get("Authorization")
}

func tokenRequests(w *world, round int) ([]call, error) {
	calls := make([]call, w.requests)
	for i := range calls {
		calls[i] = tokenRequest(w.client(round*w.requests + i))
	}
	return calls, nil
}

func tokenRequest(c population.Client) call {
	return call{method: http.MethodPost, path: oauth2.TokenPath, authorization: basic(c), body: "grant_type=client_credentials"}
}

// jobRequests have a JWT of the platform each, which no server has seen.
func jobRequests(w *world, round int) ([]call, error) {
	calls := make([]call, w.requests)
	for i := range calls {
		job := (round*w.requests + i) % len(w.people.Machines.Jobs)
		token, err := w.people.JWT(job, time.Now())
		if err != nil {
			return nil, err
		}
		calls[i] = call{method: http.MethodPost, path: oauth2.TokenPath, body: url.Values{
			"grant_type": {oauth2.GrantClientCredentials}, "client_id": {w.people.Machines.Jobs[job].ID},
			"client_assertion_type": {oauth2.AssertionType}, "client_assertion": {token},
		}.Encode()}
	}
	return calls, nil
}

// exchange exchanges the token of a client that was sent to a gateway.
func (w *world) exchange(gateway *population.Client, token string) call {
	return call{method: http.MethodPost, path: oauth2.TokenPath, authorization: basic(*gateway), body: url.Values{
		"grant_type": {oauth2.GrantTokenExchange}, "resource": {w.people.Machines.API},
		"subject_token": {token}, "subject_token_type": {"urn:ietf:params:oauth:token-type:access_token"},
	}.Encode()}
}

// exchangesOfSeen exchange all tokens that were seen before and can be exchanged. The round that
// does not count has each of them seen.
func exchangesOfSeen(w *world, _ int) (calls []call, _ error) {
	for i, token := range w.seen {
		if gateway := w.people.GatewayOf(w.client(i)); gateway != nil {
			calls = append(calls, w.exchange(gateway, token))
		}
	}
	return calls, nil
}

func exchanges(w *world, round int) (calls []call, _ error) {
	for i := round * w.requests; len(calls) < w.requests; i++ {
		c := w.client(i)
		gateway := w.people.GatewayOf(c)
		if gateway == nil {
			continue
		}
		token, err := w.people.Token(c, time.Now())
		if err != nil {
			return nil, err
		}
		calls = append(calls, w.exchange(gateway, token))
	}
	return calls, nil
}

// portal spreads the requests over the clients for which persons have logged in.
func (w *world) portal(i int) population.Client {
	return w.people.People.Portals[i%len(w.people.People.Portals)]
}

// ofPerson is the request of a portal about a person.
func ofPerson(c population.Client, form url.Values) call {
	return call{method: http.MethodPost, path: oauth2.TokenPath, authorization: basic(c), body: form.Encode()}
}

// redemptions have a code each, which no server has seen. What the rounds before have stored is
// deleted first.
func redemptions(w *world, round int) ([]call, error) {
	w.api.DeleteRedemptions()
	calls := make([]call, w.requests)
	for i := range calls {
		c := w.portal(round*w.requests + i)
		form, err := w.people.People.Redemption(c, time.Now())
		if err != nil {
			return nil, err
		}
		calls[i] = ofPerson(c, form)
	}
	return calls, nil
}

// refreshes have a refresh token each, which is not replaced.
func refreshes(w *world, round int) ([]call, error) {
	calls := make([]call, w.requests)
	for i := range calls {
		c := w.portal(round*w.requests + i)
		form, err := w.people.People.Refresh(c, time.Now())
		if err != nil {
			return nil, err
		}
		calls[i] = ofPerson(c, form)
	}
	return calls, nil
}

// introspectionsOfSeen go through the tokens that were seen before, round by round. All of them are
// seen before the rounds that count.
func introspectionsOfSeen(w *world, round int) ([]call, error) {
	from, until := round*w.requests, (round+1)*w.requests
	if round == 0 {
		from, until = 0, len(w.seen)
	}
	calls := make([]call, 0, until-from)
	for i := from; i < until; i++ {
		seen := i % len(w.seen)
		calls = append(calls, introspection(w.client(seen), w.seen[seen]))
	}
	return calls, nil
}

func introspection(c population.Client, token string) call {
	return call{method: http.MethodPost, path: oauth2.IntrospectionPath, authorization: basic(c), body: url.Values{"token": {token}}.Encode()}
}

func introspections(token func(*population.Population, population.Client, time.Time) (string, error)) func(w *world, round int) ([]call, error) {
	return func(w *world, round int) ([]call, error) {
		calls := make([]call, w.requests)
		for i := range calls {
			c := w.client(round*w.requests + i)
			value, err := token(w.people, c, time.Now())
			if err != nil {
				return nil, err
			}
			calls[i] = introspection(c, value)
		}
		return calls, nil
	}
}

// each makes calls that are the same in every round.
func each(of func(w *world, i int) call) func(w *world, round int) ([]call, error) {
	return func(w *world, _ int) ([]call, error) {
		calls := make([]call, w.requests)
		for i := range calls {
			calls[i] = of(w, i)
		}
		return calls, nil
	}
}

func (w *world) forwardAuth(i int) call {
	required := url.Values{}
	for name, value := range w.required(i) {
		required.Set(name, value)
	}
	return call{method: http.MethodGet, path: oauth2.ForwardAuthPath + "?" + required.Encode(), authorization: "Bearer " + w.seen[i]}
}

// question is what Envoy asks about a request with the token of forwardAuth.
func (w *world) question(i int) call {
	return call{method: http.MethodGet, path: "/orders", authorization: "Bearer " + w.seen[i], extensions: w.required(i)}
}

// required is what a route requires that the token fulfils.
func (w *world) required(i int) map[string]string {
	return map[string]string{"audience": w.people.Issuer.NamespaceAudience(w.client(i).Namespace), "scope": "read"}
}

func get(path string) func(*world, int) call {
	return func(*world, int) call { return call{method: http.MethodGet, path: path} }
}

// right reports whether an answer is the one that the path is about.
func (p path) right(r reply) bool {
	return r.status == http.StatusOK && bytes.Contains(r.body, []byte(`"active":false`)) == p.inactive
}
