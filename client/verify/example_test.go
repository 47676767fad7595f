// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package verify_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/hallpass-dev/hallpass/client/verify"
)

// An API requires a scope. In a pod verify.WithCAFile names ca.crt, and no HTTP client is given.
func ExampleVerifier_Require() {
	t := &testing.T{}
	key := newKey(t, "ES256", "one")
	hallpass := newIssuer(key)

	verifier, err := verify.New(issuerURL, audience, verify.WithHTTPClient(hallpass.client()))
	if err != nil {
		fmt.Println(err)
		return
	}
	orders := verifier.Require(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		claims, _ := verify.FromContext(r.Context())
		_, _ = fmt.Fprintln(w, "hello,", claims.ClientID)
	}), "orders.read")

	for _, token := range []string{key.token(t, nil), key.token(t, map[string]any{"scope": "orders.list"}), "nonsense"} {
		r := httptest.NewRequestWithContext(context.Background(), http.MethodGet, "/orders", http.NoBody)
		r.Header.Set("Authorization", "Bearer "+token)
		w := httptest.NewRecorder()
		orders.ServeHTTP(w, r)
		fmt.Println(w.Code)
	}
	// Output:
	// 200
	// 403
	// 401
}
