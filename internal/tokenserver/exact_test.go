// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package tokenserver

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/hallpass-dev/hallpass/internal/oauth2"
)

// Every request gets the answer that it gets by the mux alone, whatever its method is and however
// its path is written.
func TestRequestsFoundByTheirPathAreServedAsByTheMux(t *testing.T) {
	w := newWorld(t)
	c := Config{Authority: w.authority, Auditor: w.auditor, Aliases: Aliases{Token: []string{"/services/oauth2/token"}}, TokenByGet: true}
	p := &port{authority: w.authority, auditor: w.auditor}
	exact := map[string]methods{}
	handler := func(found map[string]methods) http.Handler {
		mux := http.NewServeMux()
		for _, r := range routes(c) {
			exact[r.path] = p.mount(mux, r)
		}
		return p.withoutRedirects(mux, found)
	}
	alone, both := handler(nil), handler(exact)
	answer := func(h http.Handler, method, target string) (int, string, string) {
		recorder := httptest.NewRecorder()
		h.ServeHTTP(recorder, httptest.NewRequestWithContext(t.Context(), method, target, http.NoBody))
		return recorder.Code, recorder.Header().Get("Allow"), recorder.Body.String()
	}
	spellings := map[string]func(string) string{
		"plain":              func(path string) string { return path },
		"with a query":       func(path string) string { return path + "?audience=a" },
		"with a slash":       func(path string) string { return path + "/" },
		"with two slashes":   func(path string) string { return "/" + path },
		"with dots":          func(path string) string { return "/." + path },
		"in upper case":      strings.ToUpper,
		"a letter escaped":   func(path string) string { return strings.ReplaceAll(path, "o", "%6F") },
		"a slash escaped":    func(path string) string { return path[:1] + strings.ReplaceAll(path[1:], "/", "%2F") },
		"all of a host, too": func(path string) string { return "https://other.test" + path },
	}
	paths := []string{"/", "/nowhere", oauth2.ResourceMetadataPath + "/resources/{namespace}/{name}", oauth2.ResourceMetadataPath + "/resources/shop/orders"}
	for path := range exact {
		paths = append(paths, path)
	}
	slices.Sort(paths)
	for _, path := range paths {
		for spelling, of := range spellings {
			for _, method := range []string{"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "get"} {
				target := of(path)
				status, allow, body := answer(both, method, target)
				wantStatus, wantAllow, wantBody := answer(alone, method, target)
				if status != wantStatus || allow != wantAllow || body != wantBody {
					t.Errorf("%s %s, %s: %d %q %s, want %d %q %s", method, target, spelling, status, allow, body, wantStatus, wantAllow, wantBody)
				}
			}
		}
	}
}
