// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package tokenserver

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

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
