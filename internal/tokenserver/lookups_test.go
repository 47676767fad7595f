// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package tokenserver

import (
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"
)

func TestClientUnknownHereIsLookedUp(t *testing.T) {
	for name, prepare := range map[string]func(w *world){
		"a client that memory does not have": func(w *world) { w.onlyAtSource(reporting) },
		"a secret that memory does not have": func(w *world) {
			older := *w.dir.known[reporting].Client
			older.Credentials.Verifiers = nil
			record := w.dir.known[reporting]
			record.Client = &older
			w.dir.known[reporting] = record
		},
		"an owner that memory does not have": func(w *world) {
			record := w.dir.known[reporting]
			record.Owner = nil
			w.dir.known[reporting] = record
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			prepare(w)
			if answer := w.do(call{basic: reporting, body: grant}); answer.Code != http.StatusOK {
				t.Errorf("got %d %s", answer.Code, answer.Body)
			}
			if w.dir.lookedUp() != 1 {
				t.Errorf("looked up %v", w.dir.asked)
			}
		})
	}
}

func TestKnownClientIsNotLookedUp(t *testing.T) {
	w := newWorld(t)
	w.dir.failing = errAway
	w.token(reporting)
	if w.dir.lookedUp() != 0 {
		t.Errorf("looked up %v", w.dir.asked)
	}
}

func TestUndecidableIsUnavailable(t *testing.T) {
	w := newWorld(t)
	w.dir.failing = errAway
	answer := w.do(call{body: grant, header: basicHeader(unheardOf + ":" + strings.Repeat("x", 43))})
	want := `{"error":"temporarily_unavailable","error_description":"the client cannot be looked up right now; try again shortly"}`
	if answer.Code != http.StatusServiceUnavailable || answer.Body.String() != want {
		t.Errorf("got %d %s", answer.Code, answer.Body)
	}
	checkHeaders(t, answer.Header(), http.Header{"Retry-After": {"2"}, "Cache-Control": {"no-store"}, "Www-Authenticate": nil})
}

func TestIllFormedCredentialsAreNeverLookedUp(t *testing.T) {
	w := newWorld(t)
	secret := w.secrets[reporting]
	for name, credentials := range map[string]string{
		"a short secret":           reporting + ":short",
		"a broken checksum":        reporting + ":" + secret[:len(secret)-1] + "z",
		"a space in the client_id": "shop reporting:" + strings.Repeat("x", 43),
		"letters beyond ASCII":     "shop.réporting:" + strings.Repeat("x", 43),
		"an endless client_id":     strings.Repeat("a", 400) + ":" + strings.Repeat("x", 43),
	} {
		t.Run(name, func(t *testing.T) {
			if answer := w.do(call{body: grant, header: basicHeader(credentials)}); answer.Code != http.StatusUnauthorized {
				t.Errorf("got %d %s", answer.Code, answer.Body)
			}
			if w.dir.lookedUp() != 0 {
				t.Errorf("looked up %q", w.dir.asked)
			}
		})
	}
}

// One source that guesses borrows what all look-ups have in common; who is in memory does not
// notice.
func TestLookupsHaveABudgetInAll(t *testing.T) {
	w := newWorld(t)
	for i := range lookupTotal + 50 {
		w.do(call{body: grant, header: basicHeader(unheardOf + strconv.Itoa(i) + ":" + strings.Repeat("x", 43))})
	}
	if w.dir.lookedUp() != lookupTotal {
		t.Errorf("%d look-ups, want %d", w.dir.lookedUp(), lookupTotal)
	}
	answer := w.do(call{body: grant, header: basicHeader(unheardOf + ":" + strings.Repeat("x", 43))})
	if answer.Code != http.StatusServiceUnavailable || answer.Header().Get("Retry-After") == "" {
		t.Errorf("with the budget spent: %d %s", answer.Code, answer.Body)
	}
	w.token(reporting)
	w.now = w.now.Add(time.Minute)
	if answer := w.do(call{body: grant, header: basicHeader(unheardOf + ":" + strings.Repeat("x", 43))}); answer.Code != http.StatusUnauthorized {
		t.Errorf("a minute later: %d %s", answer.Code, answer.Body)
	}
}

// Sources of made-up credentials spend their own look-ups. A new client at another address is
// admitted at once; one at their address has to wait.
func TestLookUpsOfOneSourceAreNotThoseOfAnother(t *testing.T) {
	const guesser = "198.51.100.1:1"
	w := newWorld(t)
	w.onlyAtSource(reporting)
	w.onlyAtSource(billing)
	for i := range 2 * lookupTotal {
		w.do(call{body: grant, source: guesser, header: basicHeader(unheardOf + strconv.Itoa(i) + ":" + strings.Repeat("x", 43))})
	}
	if answer := w.do(call{basic: reporting, body: grant, source: "192.0.2.1:1"}); answer.Code != http.StatusOK {
		t.Errorf("a new client at another address: %d %s", answer.Code, answer.Body)
	}
	for range 3 * failureBurst { // never 401, and never 429 for attempts that were not decided
		answer := w.do(call{basic: billing, body: grant, source: guesser})
		if answer.Code != http.StatusServiceUnavailable || answer.Header().Get("Retry-After") == "" {
			t.Fatalf("a new client at the address of the guesser: %d %s", answer.Code, answer.Body)
		}
	}
	w.now = w.now.Add(5 * time.Second)
	if answer := w.do(call{basic: billing, body: grant, source: guesser}); answer.Code != http.StatusOK {
		t.Errorf("when the guesser is quiet: %d %s", answer.Code, answer.Body)
	}
}
