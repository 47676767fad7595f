// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package verify_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/hallpass-dev/hallpass/client/verify"
)

func TestRequire(t *testing.T) {
	key := newKey(t, "EdDSA", "one")
	i := newIssuer(key)
	v := i.verifier(t)
	handler := v.Require(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		claims, ok := verify.FromContext(r.Context())
		if !ok {
			t.Error("the handler has no claims")
		}
		_, _ = w.Write([]byte(claims.ClientID))
	}), "orders.read", "orders.write")
	const challenge = `Bearer realm="hallpass", scope="orders.read orders.write", resource_metadata="https://hallpass.test/.well-known/oauth-protected-resource/resources/orders/orders-api"`
	for name, c := range map[string]struct {
		header    []string
		status    int
		challenge string
	}{
		"good":            {[]string{"Bearer " + key.token(t, nil)}, 200, ""},
		"another case":    {[]string{"bearer  " + key.token(t, nil)}, 200, ""},
		"no token":        {nil, 401, challenge},
		"another scheme":  {[]string{"Basic YTpi"}, 401, challenge},
		"empty":           {[]string{"Bearer"}, 401, challenge + `, error="invalid_token", error_description="the token is not valid here"`},
		"bad":             {[]string{"Bearer a.b.c"}, 401, challenge + `, error="invalid_token", error_description="the token is not valid here"`},
		"expired":         {[]string{"Bearer " + key.token(t, map[string]any{"iat": time.Now().Add(-2 * time.Hour).Unix(), "exp": time.Now().Add(-time.Hour).Unix()})}, 401, challenge + `, error="invalid_token", error_description="the token has expired"`},
		"a person":        {[]string{"Bearer " + key.token(t, map[string]any{"sub": "user:corp:x"})}, 401, challenge + `, error="invalid_token", error_description="the token acts for a subject that this API does not accept"`},
		"a scope too few": {[]string{"Bearer " + key.token(t, map[string]any{"scope": "orders.read orders.writes"})}, 403, challenge + `, error="insufficient_scope", error_description="the token lacks a scope"`},
		"no scope":        {[]string{"Bearer " + key.token(t, map[string]any{"scope": nil})}, 403, challenge + `, error="insufficient_scope", error_description="the token lacks a scope"`},
		"two headers":     {[]string{"Bearer " + key.token(t, nil), "Bearer a"}, 400, challenge + `, error="invalid_request", error_description="there are several Authorization headers"`},
	} {
		t.Run(name, func(t *testing.T) {
			r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/?access_token="+key.token(t, nil), http.NoBody)
			r.Header["Authorization"] = c.header
			w := httptest.NewRecorder()
			handler.ServeHTTP(w, r)
			if w.Code != c.status || w.Header().Get("WWW-Authenticate") != c.challenge {
				t.Errorf("%d %s", w.Code, w.Header().Get("WWW-Authenticate"))
			}
			if want := "shop.reporting"; c.status == 200 && w.Body.String() != want || c.status != 200 && !strings.HasPrefix(w.Body.String(), `{"error":"`) {
				t.Error(w.Body)
			}
		})
	}
	i = newIssuer(key)
	i.away = true
	w := httptest.NewRecorder()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", http.NoBody)
	r.Header.Set("Authorization", "Bearer "+key.token(t, nil))
	i.verifier(t).Require(handler).ServeHTTP(w, r)
	if w.Code != http.StatusServiceUnavailable || w.Header().Get("Retry-After") == "" || w.Header().Get("WWW-Authenticate") != "" {
		t.Errorf("%d %v", w.Code, w.Header())
	}
	for metadata, option := range map[string][]verify.Option{"": nil, "https://orders.test/.well-known/oauth-protected-resource": {verify.WithResourceMetadata("https://orders.test/.well-known/oauth-protected-resource")}} {
		other, err := verify.New(issuerURL, "urn:orders", option...)
		must(t, err)
		w = httptest.NewRecorder()
		other.Require(handler).ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", http.NoBody))
		if got := w.Header().Get("WWW-Authenticate"); strings.Contains(got, "resource_metadata") != (metadata != "") || !strings.Contains(got, metadata) {
			t.Error(got)
		}
	}
	defer func() {
		if recover() == nil {
			t.Error("a scope with a quotation mark is accepted")
		}
	}()
	v.Require(handler, `a"`)
}
