// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package oauth2client

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/hallpass-dev/hallpass/internal/controller/attempt"
	"github.com/hallpass-dev/hallpass/internal/controller/status"
)

// TestAStatusThatAnotherWritesEachTimeIsWrittenAFewTimes: a second installation writes it each
// time after this one, and each write wakes the other.
func TestAStatusThatAnotherWritesEachTimeIsWrittenAFewTimes(t *testing.T) {
	w := newWorld(t)
	w.create(clientOfWorld("app"))
	w.rest("app")
	w.events()
	write := func(during time.Duration) (ours int) {
		before := len(w.writes)
		for end := w.clock.Now().Add(during); w.clock.Now().Before(end); w.pass(10 * time.Millisecond) {
			c := w.get("app")
			c.Status.ClientID = "other.app"
			w.must(w.server.Status().Update(t.Context(), c))
			w.sync()
			if _, err := w.reconcile("app"); err != nil && !errors.Is(err, attempt.ErrDamped) {
				t.Fatal(err)
			}
		}
		for _, write := range w.writes[before:] {
			if strings.HasPrefix(write, "status ") {
				ours++
			}
		}
		return ours
	}
	if ours := write(2 * time.Second); ours < 5 || ours > 10 {
		t.Errorf("%d writes in 2 s", ours)
	}
	if told := w.events(); len(told) == 0 || !strings.Contains(told[0], status.ReasonStatusDoesNotHold) {
		t.Errorf("events: %q", told)
	}
	// it writes no more, and what it left is mended
	w.tries("app", 10*time.Minute, 10*time.Second)
	if c := w.get("app"); c.Status.ClientID != "shop.app" {
		t.Errorf("the status is left as it is: %+v", c.Status)
	}
	// what it has to report itself does not wait
	w.askToRotate("app", "1")
	w.rest("app")
	if c := w.get("app"); c.Status.Rotation.HandledRequest != "1" {
		t.Errorf("the status of now is %+v", c.Status)
	}
}
