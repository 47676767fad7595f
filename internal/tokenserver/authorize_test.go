// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package tokenserver

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hallpass-dev/hallpass/internal/oauth2"
)

// login is an authorization request as MCP clients send it. Each value has a mark that no answer
// may repeat.
func login(mark string) string {
	return oauth2.AuthorizationPath + "?" + url.Values{
		"response_type": {"code"}, "client_id": {reporting + mark}, "redirect_uri": {"https://evil.test/callback?" + mark}, "state": {mark},
		"code_challenge": {mark + "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"}, "code_challenge_method": {"S256"}, "resource": {shopAudience}, "scope": {mark},
	}.Encode()
}

func TestTheAuthorizationEndpointSaysThatThereIsNoLogin(t *testing.T) {
	const browser = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"
	private := http.Header{"Cache-Control": {"no-store"}, "X-Content-Type-Options": {"nosniff"}, "Location": nil, "Refresh": nil, "Set-Cookie": nil}
	w := newWorld(t)

	answer := w.do(call{method: http.MethodGet, path: login("<b>x"), header: http.Header{"Accept": {browser}}})
	if answer.Code != http.StatusBadRequest || !strings.Contains(answer.Body.String(), "<h1>There is no login here</h1>") {
		t.Errorf("a browser gets %d %s", answer.Code, answer.Body)
	}
	checkHeaders(t, answer.Header(), private)
	checkHeaders(t, answer.Header(), http.Header{
		"Content-Type": {"text/html; charset=utf-8"}, "Content-Security-Policy": {"default-src 'none'"},
		"X-Frame-Options": {"DENY"}, "Referrer-Policy": {"no-referrer"},
	})
	bare := w.do(call{method: http.MethodGet, path: oauth2.AuthorizationPath, header: http.Header{"Accept": {browser}}})
	if bare.Body.String() != answer.Body.String() {
		t.Errorf("the page depends on the request: %s", answer.Body)
	}

	answer = w.do(call{method: http.MethodGet, path: login("x")})
	var refused map[string]string
	if err := json.Unmarshal(answer.Body.Bytes(), &refused); err != nil {
		t.Fatal(err)
	}
	want := map[string]string{
		"error":             "unsupported_response_type",
		"error_description": "there is no login here; a program gets a token at the token endpoint with credentials of its own",
	}
	if diff := cmp.Diff(want, refused); diff != "" || answer.Code != http.StatusBadRequest {
		t.Errorf("a program gets %d (-want +got):\n%s", answer.Code, diff)
	}
	checkHeaders(t, answer.Header(), private)
}

func TestTheAuthorizationEndpointDecidesNothing(t *testing.T) {
	const mark = "CANARY-41c7"
	stale := false
	w := newWorld(t, func(c *settings) { c.auth.Stale = func() bool { return stale } })
	for _, stale = range []bool{false, true} { // it has nothing to decide by
		answer := w.do(call{method: http.MethodGet, path: login(mark), basic: reporting, header: http.Header{"Cookie": {mark}, "Referer": {"https://" + mark}}})
		if answer.Code != http.StatusBadRequest || answer.Result().Header.Get("Location") != "" {
			t.Errorf("with a secret, and an old memory %t: %d %s", stale, answer.Code, answer.Body)
		}
		line := w.lastAudit()
		for _, field := range []string{"time", "request_id"} {
			delete(line, field)
		}
		want := map[string]any{
			"level": "INFO", "msg": "decision", "endpoint": "authorize", "outcome": "refused", "status": float64(400),
			"source": "192.0.2.1", "reason": "PeopleNotServed",
		}
		if diff := cmp.Diff(want, line); diff != "" {
			t.Errorf("audit line (-want +got):\n%s", diff)
		}
	}
	if text := w.audit.String() + w.metrics(); strings.Contains(text, mark) {
		t.Error("the audit log or the metrics repeat what the request says")
	}
	if got, want := w.metrics(), `hallpass_requests_total{code="400",endpoint="authorize",reason="PeopleNotServed"} 2`; !strings.Contains(got, want+"\n") {
		t.Errorf("there is no %s", want)
	}
	if answer := w.do(call{path: oauth2.AuthorizationPath, body: "response_type=code"}); answer.Code != http.StatusMethodNotAllowed {
		t.Errorf("POST: %d %s", answer.Code, answer.Body)
	}
}
