// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package tokenserver

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"

	"github.com/hallpass-dev/hallpass/internal/jws"
	"github.com/hallpass-dev/hallpass/internal/keyring"
)

// handlerTransport lets a client library talk to a handler without a listener.
type handlerTransport struct{ handler http.Handler }

func (t handlerTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	recorder := httptest.NewRecorder()
	t.handler.ServeHTTP(recorder, r)
	return recorder.Result(), nil
}

// A verifier of other people's making that caches the key set, one that fetches it anew no sooner
// than the lead has passed, as software does that reads the keys from a file, and introspection:
// none refuses a token through twenty rotations.
func TestTwentyRotationsRefuseNoToken(t *testing.T) {
	policy := keyring.DefaultPolicy(time.Hour)
	policy.Algorithms = []jws.Algorithm{jws.EdDSA}
	policy.Lead = time.Hour
	policy.Period = 2*policy.Lead + policy.Skew + policy.Retirement
	w := newWorld(t)
	w.dir.ring = keyring.Ring{}
	rotate := func() {
		rotation, err := keyring.Rotate(w.dir.ring, keyring.At(w.now), policy, keyring.Order{}, keyring.Generate)
		if err != nil {
			t.Fatal(err)
		}
		w.dir.ring = rotation.Ring
	}
	rotate()
	ctx := oidc.ClientContext(t.Context(), &http.Client{Transport: handlerTransport{w.handler}})
	cached := oidc.NewVerifier(testIssuer, oidc.NewRemoteKeySet(ctx, testIssuer+"/oauth2/jwks"), &oidc.Config{
		SkipClientIDCheck: true, SupportedSigningAlgs: []string{oidc.EdDSA}, Now: func() time.Time { return w.now },
	})
	var file jws.KeySet
	var fetched time.Time
	signers := map[string]bool{}
	type issued struct {
		token string
		exp   time.Time
	}
	var out []issued
	for len(signers) <= 20 {
		if w.now.Sub(fetched) >= policy.Lead {
			var err error
			if file, err = jws.ParseKeySet(w.do(call{method: http.MethodGet, path: "/oauth2/jwks"}).Body.Bytes()); err != nil {
				t.Fatal(err)
			}
			fetched = w.now
		}
		out = append(out, issued{w.token(reporting), w.now.Add(time.Hour)})
		for len(out) > 0 && !w.now.Before(out[0].exp) {
			out = out[1:]
		}
		for _, i := range []int{0, len(out) / 2, len(out) - 1} {
			message, err := jws.Parse(out[i].token)
			if err != nil {
				t.Fatal(err)
			}
			signers[message.Header.KeyID] = true
			if _, err := cached.Verify(ctx, out[i].token); err != nil {
				t.Fatalf("at %s go-oidc refuses a token: %v", w.now, err)
			}
			key, err := file.Key(message.Header)
			if err != nil {
				t.Fatalf("at %s a token is signed by a key that was not in the file of %s", w.now, fetched)
			}
			if _, err := message.Verify(key); err != nil {
				t.Fatal(err)
			}
			if answer := w.do(w.introspect(reporting, out[i].token)); len(answer.Body.String()) < 30 {
				t.Fatalf("at %s introspection says %s", w.now, answer.Body)
			}
		}
		w.now = w.now.Add(3 * time.Minute)
		rotate()
	}
}
