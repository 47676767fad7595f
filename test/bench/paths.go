// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/hallpass-dev/hallpass/internal/jws"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
	"github.com/hallpass-dev/hallpass/test/bench/population"
)

// path is something that both servers do.
type path struct {
	name      string
	transport transport
	goal      float64 // of the ratio to the floor
	// prepare makes the requests of one turn before the clock runs; both servers get the same. The floor has an address of its
	// own for some.
	prepare   func(w *world, round int) ([]call, error)
	floorPath string
	// inactive: the right answer of this path says that a token is not active.
	inactive bool
}

// call is a request without its origin.
type call struct{ method, path, authorization, body string }

func (c call) to(ctx context.Context, origin, path string) (*http.Request, error) {
	request, err := http.NewRequestWithContext(ctx, c.method, origin+path, strings.NewReader(c.body))
	if err != nil {
		return nil, err
	}
	if c.body != "" {
		request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	if c.authorization != "" {
		request.Header.Set("Authorization", c.authorization)
	}
	return request, nil
}

// The names of paths.
const (
	fetching   = "token"
	seenBefore = "introspection, seen before"
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
		{name: "forward-auth, seen before", transport: plainHTTP, goal: 1.15, prepare: forwardAuths},
		{name: "key set", transport: plainHTTP, goal: 1.1, prepare: gets(oauth2.JWKSPath)},
		{name: "metadata", transport: plainHTTP, goal: 1.1, prepare: gets(oauth2.MetadataPath)},
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
		c := w.client(round*w.requests + i)
		calls[i] = call{http.MethodPost, oauth2.TokenPath, basic(c), "grant_type=client_credentials"}
	}
	return calls, nil
}

func introspectionsOfSeen(w *world, _ int) ([]call, error) {
	calls := make([]call, w.requests)
	for i := range calls {
		calls[i] = call{http.MethodPost, oauth2.IntrospectionPath, basic(w.client(i)), url.Values{"token": {w.seen[i]}}.Encode()}
	}
	return calls, nil
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
			calls[i] = call{http.MethodPost, oauth2.IntrospectionPath, basic(c), url.Values{"token": {value}}.Encode()}
		}
		return calls, nil
	}
}

func forwardAuths(w *world, _ int) ([]call, error) {
	calls := make([]call, w.requests)
	for i := range calls {
		calls[i] = w.forwardAuth(i)
	}
	return calls, nil
}

func (w *world) forwardAuth(i int) call {
	required := url.Values{"audience": {w.people.Issuer.NamespaceAudience(w.client(i).Namespace)}, "scope": {"read"}}
	return call{method: http.MethodGet, path: oauth2.ForwardAuthPath + "?" + required.Encode(), authorization: "Bearer " + w.seen[i]}
}

func gets(path string) func(w *world, round int) ([]call, error) {
	return func(w *world, _ int) ([]call, error) {
		calls := make([]call, w.requests)
		for i := range calls {
			calls[i] = call{method: http.MethodGet, path: path}
		}
		return calls, nil
	}
}

// copyAnswers gives the floor the answers of the token server, so that both send the same bytes.
func (w *world) copyAnswers(ctx context.Context, f *population.Fixture) error {
	caller := w.caller(plainHTTP)
	defer caller.CloseIdleConnections()
	ask := func(c call) (http.Header, string, error) {
		request, err := c.to(ctx, w.plain.plain, c.path)
		if err != nil {
			return nil, "", err
		}
		response, err := caller.Do(request)
		if err != nil {
			return nil, "", err
		}
		defer func() { _ = response.Body.Close() }()
		body, err := io.ReadAll(response.Body)
		if response.StatusCode != http.StatusOK {
			return nil, "", fmt.Errorf("%s answers %s: %s", c.path, response.Status, body)
		}
		return response.Header, string(body), err
	}
	var errs [4]error
	var identity http.Header
	_, f.JWKS, errs[0] = ask(call{method: http.MethodGet, path: oauth2.JWKSPath})
	_, f.Metadata, errs[1] = ask(call{method: http.MethodGet, path: oauth2.MetadataPath})
	_, f.Active, errs[2] = ask(call{http.MethodPost, oauth2.IntrospectionPath, basic(w.client(0)), url.Values{"token": {w.seen[0]}}.Encode()})
	identity, _, errs[3] = ask(w.forwardAuth(0))
	if err := errors.Join(errs[:]...); err != nil {
		return err
	}
	if !strings.HasPrefix(f.Active, `{"active":true`) {
		return fmt.Errorf("a good token is said to be %s", f.Active)
	}
	f.Identity = map[string]string{}
	for name := range identity {
		if strings.HasPrefix(name, "X-Auth-") {
			f.Identity[name] = identity.Get(name)
		}
	}
	return nil
}

// right reports whether an answer is the one that the path is about.
func (p path) right(status int, body []byte) bool {
	return status == http.StatusOK && bytes.Contains(body, []byte(`"active":false`)) == p.inactive
}
