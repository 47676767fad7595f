// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package tokenserver

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/hallpass-dev/hallpass/internal/keyring"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
)

// elsewhere is the token server of another replica, whose keys ours has not seen.
func elsewhere(t *testing.T) *world { return newWorld(t) }

func TestATokenOfAKeyThatTheWatchHasNotBroughtYetIsActive(t *testing.T) {
	w, other := newWorld(t), elsewhere(t)
	w.dir.later = other.dir.ring
	token := other.token(reporting)
	for range 3 {
		if answer := w.do(w.introspect(reporting, token)); !strings.HasPrefix(answer.Body.String(), `{"active":true`) {
			t.Errorf("got %s", answer.Body)
		}
	}
	if w.dir.keysAsked != 1 {
		t.Errorf("the keys were looked up %d times, want once", w.dir.keysAsked)
	}
}

func TestUnknownKeysCauseOneLookUpInTenSeconds(t *testing.T) {
	w, other := newWorld(t), elsewhere(t)
	token := other.token(reporting)
	for second := range 30 {
		w.now = noon.Add(time.Duration(second) * time.Second)
		for range 10 {
			if answer := w.do(w.introspect(reporting, token)); answer.Body.String() != `{"active":false}` {
				t.Errorf("got %s", answer.Body)
			}
		}
	}
	if w.dir.keysAsked != 3 {
		t.Errorf("the keys were looked up %d times in 30 seconds, want 3", w.dir.keysAsked)
	}
}

func TestASourceThatDoesNotAnswerAboutKeysIsANo(t *testing.T) {
	w, other := newWorld(t), elsewhere(t)
	w.dir.failing = errors.New("away")
	if answer := w.do(w.introspect(reporting, other.token(reporting))); answer.Body.String() != `{"active":false}` {
		t.Errorf("got %s", answer.Body)
	}
	if got := w.lastAudit()["token_denial"]; got != string(oauth2.ReasonTokenKeyUnknown) {
		t.Errorf("the audit line says %v", got)
	}
}

func TestAWithdrawnKeyEndsItsTokensWithoutALookUp(t *testing.T) {
	w := newWorld(t)
	token := w.token(reporting)
	key, err := w.dir.ring.SigningKey(w.now)
	if err != nil {
		t.Fatal(err)
	}
	rotation, err := keyring.Rotate(w.dir.ring, keyring.At(w.now), keyring.DefaultPolicy(time.Hour), keyring.Order{Taint: []string{key.ID()}}, keyring.Generate)
	if err != nil {
		t.Fatal(err)
	}
	w.dir.ring = rotation.Ring
	if answer := w.do(w.introspect(reporting, token)); answer.Body.String() != `{"active":false}` {
		t.Errorf("got %s", answer.Body)
	}
	if got := w.lastAudit()["token_denial"]; got != string(oauth2.ReasonTokenKeyWithdrawn) || w.dir.keysAsked != 0 {
		t.Errorf("the audit line says %v after %d look-ups", got, w.dir.keysAsked)
	}
	if answer := w.do(w.introspect(reporting, w.token(reporting))); !strings.HasPrefix(answer.Body.String(), `{"active":true`) {
		t.Errorf("a token of the next key: %s", answer.Body)
	}
}

func TestWithoutAKeyThatSignsTokenRequestsAloneAreRefused(t *testing.T) {
	w, _ := newRevokingWorld(t)
	other := elsewhere(t)
	ring, err := keyring.New(w.now)
	if err != nil {
		t.Fatal(err)
	}
	w.dir.ring, other.dir.ring = ring, ring
	token := other.token(reporting)
	w.now = w.now.Add(-2 * time.Minute) // the key does not sign yet by this clock
	answer := w.do(call{basic: reporting, body: "grant_type=client_credentials"})
	if answer.Code != http.StatusServiceUnavailable || answer.Header().Get("Retry-After") == "" {
		t.Errorf("a token request: %d %v %s", answer.Code, answer.Header(), answer.Body)
	}
	if got := w.lastAudit()["reason"]; got != string(oauth2.ReasonNoSigningKey) {
		t.Errorf("the audit line says %v", got)
	}
	if !w.active(reporting, token) {
		t.Error("a token of before is not active")
	}
	for _, path := range []string{oauth2.JWKSPath, "/.well-known/oauth-authorization-server"} {
		if answer := w.do(call{method: http.MethodGet, path: path}); answer.Code != http.StatusOK {
			t.Errorf("%s: %d %s", path, answer.Code, answer.Body)
		}
	}
	if answer := w.revoke(reporting, token); answer.Code != http.StatusOK {
		t.Errorf("a revocation: %d %s", answer.Code, answer.Body)
	}
}
