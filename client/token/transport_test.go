// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package token_test

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"golang.org/x/oauth2"

	"github.com/hallpass-dev/hallpass/client/token"
)

// api is an API that refuses some tokens.
type api struct {
	refuses   map[string]bool
	challenge string
	got       []string // token and body of each request
}

func (a *api) RoundTrip(r *http.Request) (*http.Response, error) {
	body := ""
	if r.Body != nil {
		content, err := io.ReadAll(r.Body)
		if err != nil {
			return nil, err
		}
		body = string(content)
		if err := r.Body.Close(); err != nil {
			return nil, err
		}
	}
	sent := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
	a.got = append(a.got, sent+body)
	w := httptest.NewRecorder()
	if a.refuses[sent] {
		w.Header().Set("WWW-Authenticate", a.challenge)
		w.WriteHeader(http.StatusUnauthorized)
	}
	response := w.Result()
	response.Request = r
	return response, nil
}

const revoked = `Bearer realm="orders, all", error="invalid_token", error_description="it was revoked"`

func TestACallIsRepeatedOnceIfItCanBe(t *testing.T) {
	post := func(t *testing.T, body io.Reader) *http.Request {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "https://orders.test/", body)
		must(t, err)
		return r
	}
	for name, c := range map[string]struct {
		body      io.Reader
		challenge string
		refuses   []string
		want      string
		status    int
	}{
		"good":                         {nil, revoked, nil, "token-0", 200},
		"revoked":                      {nil, revoked, []string{"token-0"}, "token-0 token-1", 200},
		"revoked, with a body":         {strings.NewReader("+body"), revoked, []string{"token-0"}, "token-0+body token-1+body", 200},
		"a body that is read once":     {io.MultiReader(strings.NewReader("+body")), revoked, []string{"token-0"}, "token-0+body", 401},
		"the other is refused, too":    {nil, revoked, []string{"token-0", "token-1"}, "token-0 token-1", 401},
		"another challenge":            {nil, `Basic realm="error=invalid_token", Bearer realm="a"`, []string{"token-0"}, "token-0", 401},
		"another scheme's error":       {nil, `Bearer realm="a", DPoP error="invalid_token"`, []string{"token-0"}, "token-0", 401},
		"several challenges":           {nil, `Basic realm="a", bearer scope="x", ERROR=invalid_token`, []string{"token-0"}, "token-0 token-1", 200},
		"the error is within a string": {nil, `Bearer realm="a\", error=invalid_token", scope="b"`, []string{"token-0"}, "token-0", 401},
		"another error":                {nil, `Bearer error="invalid_request"`, []string{"token-0"}, "token-0", 401},
	} {
		t.Run(name, func(t *testing.T) {
			source, _ := simple(t)
			a := &api{refuses: map[string]bool{}, challenge: c.challenge}
			for _, refused := range c.refuses {
				a.refuses[refused] = true
			}
			r := post(t, c.body)
			response, err := source.Transport(a).RoundTrip(r)
			must(t, err)
			_ = response.Body.Close()
			if got := strings.Join(a.got, " "); got != c.want || response.StatusCode != c.status {
				t.Errorf("%d after %s, want %d after %s", response.StatusCode, got, c.status, c.want)
			}
			if r.Header.Get("Authorization") != "" || response.Request.Header.Get("Authorization") != "" {
				t.Error("the request of the caller has the token")
			}
		})
	}
}

// There is no other token to be had: the caller gets the answer of the API, and no error.
func TestACallWithoutAnotherTokenReturnsTheAnswer(t *testing.T) {
	source, e := simple(t)
	first, err := source.Token(t.Context())
	must(t, err)
	e.set(func(e *endpoint) { e.secrets = nil })
	a := &api{refuses: map[string]bool{first.Reveal(): true}, challenge: revoked}
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://orders.test/", http.NoBody)
	must(t, err)
	response, err := source.Transport(a).RoundTrip(r)
	if err != nil || response.StatusCode != http.StatusUnauthorized {
		t.Errorf("%v", err)
	}
	_ = response.Body.Close()
}

type closed struct {
	io.Reader
	times int
}

func (c *closed) Close() error { c.times++; return nil }

func TestABodyIsClosedAlsoWithoutAToken(t *testing.T) {
	source, e := simple(t)
	e.secrets = nil
	body := &closed{Reader: strings.NewReader("x")}
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "https://orders.test/", body)
	must(t, err)
	response, err := source.Transport(&api{}).RoundTrip(r)
	if !errors.Is(err, token.ErrInvalidClient) || body.times != 1 {
		t.Errorf("%v, closed %d times", err, body.times)
		_ = response.Body.Close()
	}
}

func TestARedirectToAnotherOriginHasNoToken(t *testing.T) {
	source, _ := simple(t)
	var elsewhere []string
	other := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		elsewhere = append(elsewhere, r.Header.Get("Authorization"))
	}))
	t.Cleanup(other.Close)
	var here []string
	first := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		here = append(here, r.Header.Get("Authorization"))
		to := map[string]string{"/": "/again", "/again": other.URL}[r.URL.Path]
		http.Redirect(w, r, to, http.StatusFound)
	}))
	t.Cleanup(first.Close)
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, first.URL, http.NoBody)
	must(t, err)
	response, err := (&http.Client{Transport: source.Transport(nil)}).Do(r)
	must(t, err)
	_ = response.Body.Close()
	if len(here) != 2 || here[0] != "Bearer token-0" || here[1] != "Bearer token-0" || len(elsewhere) != 1 || elsewhere[0] != "" {
		t.Errorf("here %q, elsewhere %q", here, elsewhere)
	}
}

func TestAdapters(t *testing.T) {
	source, e := simple(t)
	got, err := source.OAuth2(t.Context()).Token()
	must(t, err)
	if got.AccessToken != "token-0" || got.Type() != "Bearer" || time.Until(got.Expiry) < 59*time.Minute || !got.Valid() {
		t.Error("another token")
	}
	_ = oauth2.NewClient(t.Context(), source.OAuth2(t.Context()))
	metadata, err := source.GetRequestMetadata(t.Context())
	if err != nil || metadata["authorization"] != "Bearer token-0" || !source.RequireTransportSecurity() {
		t.Errorf("%v %v", metadata, err)
	}
	e.secrets = nil
	source = newSource(t, token.Secret(newMount(t, entries("secret")).dir), e)
	_, oauthErr := source.OAuth2(t.Context()).Token()
	_, grpcErr := source.GetRequestMetadata(t.Context())
	if !errors.Is(oauthErr, token.ErrInvalidClient) || !errors.Is(grpcErr, token.ErrInvalidClient) {
		t.Errorf("%v, %v", oauthErr, grpcErr)
	}
}
