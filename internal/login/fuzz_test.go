// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package login

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"unicode"

	"github.com/hallpass-dev/hallpass/internal/loginport"
)

// FuzzAttempt: no cookie panics, one that is read is written again as it was, and none without a
// state accepts an answer.
func FuzzAttempt(f *testing.F) {
	f.Add("1:form:state:verifier:ticket", "AAAAAAAAAAAAAAAA.state")
	f.Add("1764486830000:form:::ticket:with:colons", "AAAAAAAAAAAAAAAA.")
	f.Add(":::::", "")
	f.Fuzz(func(t *testing.T, value, state string) {
		const id = "AAAAAAAAAAAAAAAA"
		a, err := parseAttempt(id, value)
		if err != nil {
			return
		}
		again, err := parseAttempt(id, a.cookie(&loginport.Attempt{ExpiresIn: 600}).Value)
		if err != nil || again != a {
			t.Errorf("%q is read as %+v, and again as %+v: %v", value, a, again, err)
		}
		if a.accepts(state) && (a.state == "" || state != id+"."+a.state) {
			t.Errorf("%q accepts the state %q", value, state)
		}
	})
}

// FuzzCookies: whatever cookies a browser sends, those that stay fit into the bounds.
func FuzzCookies(f *testing.F) {
	f.Add("__Host-hallpass-A=1:f:::t; __Host-hallpass-B=; x=y", 100)
	f.Add(strings.Repeat("__Host-hallpass-A=1:f:::t; ", 20), 4000)
	f.Fuzz(func(t *testing.T, header string, size int) {
		if size < 0 || size > 4096 {
			return
		}
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
		r.Header.Set("Cookie", header)
		ended := makeRoom(r, size)
		left, bytes := 0, size
		for _, c := range r.Cookies() {
			if strings.HasPrefix(c.Name, cookiePrefix) {
				left++
				bytes += len(c.Name) + len(c.Value)
			}
		}
		if left-len(ended) >= maxAttempts {
			t.Errorf("%d attempts stay", left-len(ended))
		}
		if len(ended) == 0 && left > 0 && bytes > maxCookieBytes {
			t.Errorf("%d bytes stay", bytes)
		}
	})
}

// FuzzClean: no text has what hides or turns other text.
func FuzzClean(f *testing.F) {
	f.Add("Bank\u202e\u0000 \u200b")
	f.Add("日本語 é") //nolint:gosmopolitan // letters of several scripts
	f.Fuzz(func(t *testing.T, text string) {
		for _, r := range clean(text) {
			if unicode.In(r, unicode.Cc, unicode.Cf) {
				t.Errorf("%q has %U", text, r)
			}
		}
	})
}
