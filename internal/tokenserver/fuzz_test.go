// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package tokenserver

import (
	"crypto/ed25519"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hallpass-dev/hallpass/internal/jws"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
)

// FuzzTokenEndpoint sends what unauthenticated callers can send. No request has a secret, so
// nothing may succeed, nothing may be a fault of the server, and every refusal is a short JSON
// error.
func FuzzTokenEndpoint(f *testing.F) {
	w := newWorld(f)
	for _, c := range refusals(w) {
		f.Add(c.method, c.path, c.header.Get("Authorization"), c.header.Get("Content-Type"), c.body)
	}
	f.Fuzz(func(t *testing.T, method, path, authorization, contentType, body string) {
		for _, secret := range w.secrets {
			if strings.Contains(body, secret) {
				t.Skip("a seed with a right secret")
			}
		}
		r, err := http.NewRequestWithContext(t.Context(), method, testIssuer+oauth2.TokenPath, strings.NewReader(body))
		if err != nil {
			t.Skip("no such request reaches a handler")
		}
		if strings.HasPrefix(path, "/oauth2/introspect") {
			r.URL.Path = oauth2.IntrospectionPath
		}
		if authorization != "" {
			r.Header.Set("Authorization", authorization)
		}
		if contentType != "" {
			r.Header.Set("Content-Type", contentType)
		}
		w.now = w.now.Add(failureBurst * failureInterval)
		w.audit.Reset()
		checkRefused(t, w, r)
	})
}

// FuzzAssertion sends assertions that no key has signed, as client assertions and as grants, to
// clients of each method. None succeeds.
func FuzzAssertion(f *testing.F) {
	all := doors(f)
	other, err := jws.NewSigner(jws.EdDSA, ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize)))
	if err != nil {
		f.Fatal(err)
	}
	for name, d := range all {
		good := d.sign()
		payload, err := jws.DecodeBase64URL(strings.Split(good, ".")[1])
		if err != nil {
			f.Fatal(err)
		}
		forged, err := other.Sign("JWT", payload)
		if err != nil {
			f.Fatal(err)
		}
		for _, asGrant := range []bool{true, false} {
			f.Add(name, forged, strings.TrimPrefix(d.clientID, "&client_id="), asGrant)
			f.Add(name, good[:len(good)-8], ciClient, asGrant)
		}
	}
	f.Fuzz(func(t *testing.T, name, assertion, clientID string, grants bool) {
		d, there := all[name]
		if !there {
			t.Skip("there is no such door")
		}
		form := url.Values{"grant_type": {oauth2.GrantClientCredentials}, "client_assertion_type": {oauth2.AssertionType}, "client_assertion": {assertion}}
		if grants {
			form = url.Values{"grant_type": {oauth2.GrantJWTBearer}, "assertion": {assertion}}
		}
		if clientID != "" {
			form.Set("client_id", clientID)
		}
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, testIssuer+oauth2.TokenPath, strings.NewReader(form.Encode()))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		// the cluster may be asked for a key again
		d.w.now = d.w.now.Add(3*keyInterval + time.Second)
		d.w.audit.Reset()
		if checkRefused(t, d.w, r) == http.StatusUnauthorized && grants {
			t.Error("a grant that is not accepted is answered as a client")
		}
	})
}

// FuzzExchange sends token exchanges of a client that may exchange, with tokens that Hallpass did
// not sign. None succeeds, and none is taken for a fault of the client's credentials.
func FuzzExchange(f *testing.F) {
	w := newPassing(f)
	good := []string{w.tokens(false), w.tokens(true)}
	for _, token := range append(good, "", "a.b.c", "hpt_a_b") {
		cut := token[:max(0, len(token)-9)]
		f.Add(cut, "urn:ietf:params:oauth:token-type:access_token", "", ordersAPI, "", "", "")
		f.Add(cut, "urn:ietf:params:oauth:token-type:jwt", "urn:ietf:params:oauth:token-type:access_token", "", ordersAPI, "orders.write", "a.b.c")
	}
	f.Fuzz(func(t *testing.T, subject, subjectType, requested, target, audience, scope, actor string) {
		if slices.Contains(good, subject) {
			t.Skip("a token that is good")
		}
		form := url.Values{"grant_type": {oauth2.GrantTokenExchange}}
		for name, value := range map[string]string{
			"subject_token": subject, "subject_token_type": subjectType, "requested_token_type": requested, "resource": target,
			"audience": audience, "scope": scope, "actor_token": actor,
		} {
			if value != "" {
				form.Set(name, value)
			}
		}
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, testIssuer+oauth2.TokenPath, strings.NewReader(form.Encode()))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.SetBasicAuth(billing, w.secrets[billing])
		w.now = w.now.Add(time.Second)
		w.audit.Reset()
		if checkRefused(t, w.world, r) == http.StatusUnauthorized {
			t.Error("a token that is not exchanged is answered as a wrong secret")
		}
	})
}

// checkRefused sends a request that must be refused with a short JSON error of the server, and
// answers its status.
func checkRefused(t *testing.T, w *world, r *http.Request) int {
	t.Helper()
	recorder := httptest.NewRecorder()
	w.handler.ServeHTTP(recorder, r)
	body := recorder.Body.Bytes()
	var refused struct {
		Error string `json:"error"`
	}
	switch {
	case recorder.Code < 400 || recorder.Code >= 500:
		t.Errorf("status %d %s", recorder.Code, body)
	case len(body) >= 512:
		t.Errorf("a body of %d bytes", len(body))
	case json.Unmarshal(body, &refused) != nil || refused.Error == "":
		t.Errorf("not an OAuth error: %s", body)
	}
	return recorder.Code
}
