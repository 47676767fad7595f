// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package oauth2token

import (
	"crypto/rand"
	"testing"
	"time"

	clocktesting "k8s.io/utils/clock/testing"

	"github.com/hallpass-dev/hallpass/internal/keyring"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
)

// TestAFixedTokenExpiresAtItsTime however long it takes from the read of its limits until it is
// made.
func TestAFixedTokenExpiresAtItsTime(t *testing.T) {
	clock := clocktesting.NewFakeClock(noon.Add(-time.Millisecond))
	r := New(Config{Clock: clock, Random: rand.Reader})
	s := &state{record: oauth2.Minted{Opaque: true}, end: noon.Add(time.Hour)}
	for range 3 {
		_, made, err := r.minter.issue(s, keyring.Ring{})
		if err != nil {
			t.Fatal(err)
		}
		if !made.ExpiresAt.Equal(s.end) {
			t.Errorf("a token made at %s expires at %s, want %s", clock.Now(), made.ExpiresAt, s.end)
		}
		clock.Step(time.Second)
	}
}
