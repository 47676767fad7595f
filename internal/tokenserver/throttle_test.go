// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package tokenserver

import (
	"net/http"
	"net/http/httptest"
	"net/netip"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/hallpass-dev/hallpass/internal/oauth2"
)

func TestFailuresAreThrottledBySourceAndClient(t *testing.T) {
	w := newWorld(t)
	wrong := func(source, client string) *httptest.ResponseRecorder {
		return w.do(call{body: grant, source: source, header: basicHeader(client + ":" + strings.Repeat("x", 43))})
	}
	for range failureBurst {
		if answer := wrong("192.0.2.1:1", reporting); answer.Code != http.StatusUnauthorized {
			t.Fatalf("within the limit: %d %s", answer.Code, answer.Body)
		}
	}
	answer := wrong("192.0.2.1:2", reporting)
	want := `{"error":"temporarily_unavailable","error_description":"the client cannot be looked up right now; try again shortly"}`
	if answer.Code != http.StatusServiceUnavailable || answer.Body.String() != want {
		t.Errorf("beyond it: %d %s", answer.Code, answer.Body)
	}
	checkHeaders(t, answer.Header(), http.Header{"Retry-After": {"2"}, "Cache-Control": {"no-store"}, "Www-Authenticate": nil})
	if got := w.lastAudit()["reason"]; got != "LookupUnavailable" {
		t.Errorf("the audit line says %v", got)
	}
	if w.dir.lookedUp() != failureBurst {
		t.Errorf("%d look-ups", w.dir.lookedUp())
	}

	if answer := w.do(call{basic: reporting, body: grant, source: "192.0.2.1:3"}); answer.Code != http.StatusOK {
		t.Errorf("the right secret from the same place: %d %s", answer.Code, answer.Body)
	}
	for name, answer := range map[string]*httptest.ResponseRecorder{
		"the same client from another place": wrong("192.0.2.2:1", reporting),
		"another client from the same place": wrong("192.0.2.1:1", billing),
	} {
		if answer.Code != http.StatusUnauthorized {
			t.Errorf("%s: %d %s", name, answer.Code, answer.Body)
		}
	}
	w.now = w.now.Add(failureInterval)
	if answer := wrong("192.0.2.1:1", reporting); answer.Code != http.StatusUnauthorized {
		t.Errorf("after Retry-After: %d %s", answer.Code, answer.Body)
	}
}

// Budgets belong to the caller of a trusted proxy. Without trusted proxies a proxy's callers share
// one, and so they do if the header is the caller's own.
func TestTheCallersOfAProxyHaveBudgetsOfTheirOwnIfItIsTrusted(t *testing.T) {
	for name, c := range map[string]struct {
		trusted []netip.Prefix
		want    int // the status of the second caller
	}{
		"a trusted proxy":               {[]netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}, http.StatusUnauthorized},
		"a proxy that nobody named":     {nil, http.StatusServiceUnavailable},
		"another proxy is trusted":      {[]netip.Prefix{netip.MustParsePrefix("10.9.0.0/16")}, http.StatusServiceUnavailable},
		"the proxy, but by its network": {[]netip.Prefix{netip.MustParsePrefix("10.0.0.0/24")}, http.StatusUnauthorized},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, func(s *settings) { s.audit.TrustedProxies = c.trusted })
			wrong := func(caller string) int {
				header := basicHeader(reporting + ":" + strings.Repeat("x", 43))
				header.Set("X-Forwarded-For", caller)
				return w.do(call{body: grant, source: "10.0.0.1:1", header: header}).Code
			}
			for range failureBurst {
				wrong("192.0.2.1")
			}
			if got := wrong("192.0.2.1"); got != http.StatusServiceUnavailable {
				t.Errorf("the first caller beyond its budget: %d", got)
			}
			if got := wrong("192.0.2.2"); got != c.want {
				t.Errorf("the second caller: %d, want %d", got, c.want)
			}
		})
	}
}

// Who is throttled learns no more than who is not.
func TestThrottlingTellsNothingApart(t *testing.T) {
	w := newWorld(t)
	for _, id := range []string{reporting, suspended, unheardOf} {
		for i := range failureBurst + 1 {
			secret := strings.Repeat("x", 43)
			if id == suspended {
				secret = w.secrets[suspended]
			}
			answer := w.do(call{body: grant, header: basicHeader(id + ":" + secret)})
			if want := map[bool]int{false: 401, true: 503}[i == failureBurst]; answer.Code != want {
				t.Errorf("%s, attempt %d: %d", id, i, answer.Code)
			}
		}
	}
}

func TestSuccessesAreThrottledByClient(t *testing.T) {
	w := newWorld(t, func(c *settings) { c.ClientRate = 2 })
	for i := range 2 * clientBurstSeconds {
		if answer := w.do(call{basic: reporting, body: grant, source: "192.0.2." + strconv.Itoa(i) + ":1"}); answer.Code != http.StatusOK {
			t.Fatalf("token %d: %d %s", i, answer.Code, answer.Body)
		}
	}
	answer := w.do(call{basic: reporting, body: grant})
	if answer.Code != http.StatusTooManyRequests || answer.Header().Get("Retry-After") != "1" {
		t.Errorf("beyond the rate: %d %s, Retry-After %q", answer.Code, answer.Body, answer.Header().Get("Retry-After"))
	}
	w.token(billing)
	w.now = w.now.Add(time.Second)
	w.token(reporting)
	w.token(reporting)
}

// A namespace with many clients leaves each other namespace as much as one client may have.
func TestTokensOfOneNamespaceLeaveOthersTheirShare(t *testing.T) {
	w := newWorld(t, func(c *settings) { c.ClientRate = 1 })
	fetch := func(id string) int { return w.do(call{basic: id, body: grant}).Code }
	fetched := 0
	for i := range 8 {
		id := "evil.c" + strconv.Itoa(i)
		w.register(id)
		for fetch(id) == http.StatusOK {
			fetched++
		}
	}
	const each = clientBurstSeconds
	if want := lentClients * each; fetched != want {
		t.Errorf("%d tokens for eight clients of a namespace, want %d", fetched, want)
	}
	for range each {
		w.token(reporting)
	}
	if got := fetch(reporting); got != http.StatusTooManyRequests {
		t.Errorf("beyond the share: %d", got)
	}
	w.now = w.now.Add(time.Second)
	w.token(reporting)
}

func TestOverloadIsShed(t *testing.T) {
	w := newWorld(t, func(c *settings) { c.auth.MaxInFlight = 1 })
	place, err := w.authority.Enter("192.0.2.1")
	if err != nil {
		t.Fatal("no room in an idle server")
	}
	answer := w.do(call{basic: reporting, body: grant})
	want := `{"error":"temporarily_unavailable","error_description":"too many requests at once; try again shortly"}`
	if answer.Code != http.StatusServiceUnavailable || answer.Body.String() != want || answer.Header().Get("Retry-After") != "1" {
		t.Errorf("in flight: %d %s", answer.Code, answer.Body)
	}
	place.Leave()
	w.token(reporting)
	w.token(reporting)
}

func TestEveryAnswerHasARequestIDOfOurs(t *testing.T) {
	w := newWorld(t)
	shape := regexp.MustCompile(`^[A-Z2-7]{26}$`)
	seen := map[string]bool{}
	for caller, noted := range map[string]any{
		"": nil, "3f1c6a52-8d1e-4b7a-9c55-0f5f1f0c9a11": "3f1c6a52-8d1e-4b7a-9c55-0f5f1f0c9a11", "a b": nil, "\"}": nil, strings.Repeat("a", 65): nil,
	} {
		for _, c := range []call{{basic: reporting, body: grant}, {body: grant}, {path: "/nowhere"}, {path: oauth2.JWKSPath}} {
			c.header = http.Header{}
			if caller != "" {
				c.header.Set("X-Request-ID", caller)
			}
			id := w.do(c).Header().Get("X-Request-ID")
			if !shape.MatchString(id) || seen[id] {
				t.Errorf("%s with %q: request id %q", c.path, caller, id)
			}
			seen[id] = true
			if line := w.lastAudit(); line["request_id"] != id || line["caller_request_id"] != noted {
				t.Errorf("audit line %v, want request_id %s and caller_request_id %v", line, id, noted)
			}
		}
	}
	if id := w.do(call{method: http.MethodGet, path: oauth2.JWKSPath}).Header().Get("X-Request-ID"); !shape.MatchString(id) {
		t.Errorf("keys with request id %q", id)
	}
}
