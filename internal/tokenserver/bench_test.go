// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package tokenserver

import (
	"crypto/rand"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/hallpass-dev/hallpass/internal/auth"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
)

// benchmark serves one request again and again, without a network: what is left is the handler's
// own work. Each has its own instant, so that no limit is reached, and its own goroutine, as over
// HTTP/2: a stack that has to grow is part of the work.
func benchmark(b *testing.B, w *world, request func() *http.Request) {
	b.Helper()
	b.ReportAllocs()
	done := make(chan struct{})
	for b.Loop() {
		w.now = w.now.Add(10 * time.Millisecond)
		if w.now.Sub(noon) > 10*time.Minute {
			w.now = noon
		}
		recorder := httptest.NewRecorder()
		r := request()
		go func() {
			defer func() { done <- struct{}{} }()
			w.handler.ServeHTTP(recorder, r)
		}()
		<-done
		if recorder.Code != http.StatusOK || strings.Contains(recorder.Body.String(), `"active":false`) {
			b.Fatalf("%d: %s", recorder.Code, recorder.Body)
		}
	}
}

// silent discards the audit lines, but has them made.
func silent(c *settings) {
	c.audit.Lines = io.Discard
	c.ClientRate = 1_000_000
}

// posts prepares requests of a client to an endpoint.
func (w *world) posts(path string, form url.Values) func() *http.Request {
	body := form.Encode()
	return func() *http.Request {
		request := httptest.NewRequestWithContext(w.t.Context(), http.MethodPost, path, strings.NewReader(body))
		request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		request.SetBasicAuth(reporting, w.secrets[reporting])
		return request
	}
}

// presented keeps what a test measures from being optimised away.
var presented auth.Credentials

// Most requests ask for a rate, by an interface and with a list of keys.
func TestARateAllocatesNothing(t *testing.T) {
	w := newWorld(t)
	r, client := w.posts(oauth2.TokenPath, nil)(), &oauth2.Client{ID: reporting, Namespace: "shop"}
	for name, rate := range map[string]auth.Rate{"token": issues(1000), "revoke": revokes(1000), "feed": pages(feedLevel)} {
		n := testing.AllocsPerRun(100, func() {
			presented = request{}.credentials(r, rate)
			_ = presented.Rate.Allow(client, oauth2.Person{}, w.now)
		})
		if n > 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}

func BenchmarkToken(b *testing.B) {
	w := newWorld(b, silent)
	benchmark(b, w, w.posts(oauth2.TokenPath, url.Values{"grant_type": {"client_credentials"}}))
}

// BenchmarkTokenByJWT has the JWT of a trusted issuer in the place of a secret.
func BenchmarkTokenByJWT(b *testing.B) {
	w := newCIWorld(b, silent)
	body := fromCI(w.sign(w.signer, "JWT", nil))
	benchmark(b, w.world, func() *http.Request {
		request := httptest.NewRequestWithContext(b.Context(), http.MethodPost, oauth2.TokenPath, strings.NewReader(body))
		request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		return request
	})
}

// BenchmarkExchange exchanges a token that was seen before, as a comparison with BenchmarkToken.
func BenchmarkExchange(b *testing.B) {
	w := exchanging(b, silent)
	c := w.exchange(billing, w.token(reporting), nil)
	benchmark(b, w, func() *http.Request {
		request := httptest.NewRequestWithContext(b.Context(), http.MethodPost, oauth2.TokenPath, strings.NewReader(c.body))
		request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		request.SetBasicAuth(billing, w.secrets[billing])
		return request
	})
}

func BenchmarkIntrospect(b *testing.B) {
	w := newWorld(b, silent)
	benchmark(b, w, w.posts(oauth2.IntrospectionPath, url.Values{"token": {w.token(reporting)}}))
}

// BenchmarkIntrospectUnseen reads and verifies the token each time: there are more tokens than are
// remembered.
func BenchmarkIntrospectUnseen(b *testing.B) {
	w := newWorld(b, silent)
	client := w.dir.known[reporting].Client
	key, err := w.dir.ring.SigningKey(noon)
	if err != nil {
		b.Fatal(err)
	}
	unseen := oauth2.Grant{Audience: w.issuer.NamespaceAudience("shop"), Scopes: client.Scopes, Lifetime: time.Hour}
	requests := make([]func() *http.Request, 20<<10)
	for i := range requests {
		token, err := w.issuer.Issue(client, unseen, key, noon, rand.Reader)
		if err != nil {
			b.Fatal(err)
		}
		requests[i] = w.posts(oauth2.IntrospectionPath, url.Values{"token": {token.Value.Reveal()}})
	}
	next := 0
	benchmark(b, w, func() *http.Request {
		next++
		return requests[next%len(requests)]()
	})
}

func BenchmarkForwardAuth(b *testing.B) {
	w := newWorld(b, silent)
	query := url.Values{"audience": {w.issuer.NamespaceAudience("shop")}}.Encode()
	token := "Bearer " + w.token(reporting)
	benchmark(b, w, func() *http.Request {
		request := httptest.NewRequestWithContext(b.Context(), http.MethodGet, oauth2.ForwardAuthPath+"?"+query, http.NoBody)
		request.Header.Set("Authorization", token)
		return request
	})
}

func BenchmarkKeySet(b *testing.B) {
	w := newWorld(b, silent)
	benchmark(b, w, func() *http.Request {
		return httptest.NewRequestWithContext(b.Context(), http.MethodGet, oauth2.JWKSPath, http.NoBody)
	})
}

func BenchmarkMetadata(b *testing.B) {
	w := newWorld(b, silent)
	benchmark(b, w, func() *http.Request {
		return httptest.NewRequestWithContext(b.Context(), http.MethodGet, oauth2.MetadataPath, http.NoBody)
	})
}
