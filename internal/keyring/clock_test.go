// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package keyring_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hallpass-dev/hallpass/internal/jws"
	"github.com/hallpass-dev/hallpass/internal/keyring"
)

// look rotates by a clock that is wrong while the API server's is right.
func (w *walk) look(wrong time.Time, order keyring.Order) []keyring.Change {
	w.Helper()
	clock := keyring.Time{Earliest: w.now, Latest: wrong}
	if wrong.Before(w.now) {
		clock = keyring.Time{Earliest: wrong, Latest: w.now}
	}
	rotation, err := keyring.Rotate(w.ring, clock, w.policy, order, w.generate)
	if err != nil {
		w.Fatal(err)
	}
	w.ring = rotation.Ring
	return rotation.Changes
}

var wrongBy = []time.Duration{-400 * day, -10 * day, -time.Hour, time.Hour, 10 * day, 16 * day, 31 * day, 400 * day}

func TestALookByAWrongClockEndsNoKey(t *testing.T) {
	for _, wrong := range wrongBy {
		t.Run(fmt.Sprint(wrong), func(t *testing.T) {
			w := newWalk(t, policy)
			// the second key signs, the first one is gone, and the third is published
			w.pass(35 * day)
			signing, before := w.signing().ID(), published(t, w.ring, w.now)
			w.look(w.now.Add(wrong), keyring.Order{})
			if got := w.signing().ID(); got != signing {
				t.Errorf("%s signs, want %s", got, signing)
			}
			if diff := cmp.Diff(before, published(t, w.ring, w.now)); diff != "" {
				t.Errorf("the JWK set (-before +after):\n%s", diff)
			}
			w.pass(time.Minute)
			w.pass(30 * day)
			w.want(policy.Algorithms[0], keyring.Active, keyring.Published)
		})
	}
}

func TestAKeyThatIsGoneWaitsForTheClocksToAgree(t *testing.T) {
	w := newWalk(t, policy)
	w.pass(29 * day)
	w.now = w.now.Add(3 * day) // the first key is gone
	if _, err := keyring.Rotate(w.ring, keyring.At(w.now), w.policy, keyring.Order{}, w.generate); err != nil {
		t.Fatal(err)
	}
	first := w.ring.Keys()[0].ID()
	rotation, err := keyring.Rotate(w.ring, keyring.Time{Earliest: w.now, Latest: w.now}, w.policy, keyring.Order{}, w.generate)
	if err != nil || rotation.Ring.Keys()[0].ID() != first {
		t.Errorf("before the clocks agree the key was removed (%v)", err)
	}
	w.rotate(keyring.Order{})
	if w.ring.Keys()[0].ID() == first {
		t.Error("the clocks agree, and the key that is gone is still there")
	}
}

func TestARingWithoutAKeyThatSignsMends(t *testing.T) {
	for _, ahead := range []time.Duration{10 * day, 16 * day, 31 * day, 400 * day} {
		for _, wrong := range append(wrongBy, 0) {
			t.Run(fmt.Sprint(ahead, wrong), func(t *testing.T) {
				w := newWalk(t, policy)
				w.pass(15 * day)
				right := w.now
				w.now = right.Add(ahead) // all clocks are wrong
				w.rotate(keyring.Order{})
				w.now = right.Add(time.Minute)
				_, signs := w.ring.SigningKey(w.now)
				changes := w.look(w.now.Add(wrong), keyring.Order{})
				if _, err := w.ring.SigningKey(w.now); err != nil {
					t.Fatal(err)
				}
				if signs != nil && wrong == 0 && (len(changes) == 0 || changes[0].State != keyring.Active) {
					t.Errorf("changes %v, want that a key signs", changes)
				}
				w.pass(time.Minute)
				w.signing()
				w.pass(60 * day)
				w.signing()
			})
		}
	}
}

func TestAnOrderToRotateWaitsForTheClocks(t *testing.T) {
	w := newWalk(t, policy)
	w.pass(day)
	next := w.ring.NextChange(w.now)
	w.look(w.now.Add(20*day), keyring.Order{Rotation: "a"})
	if got := w.ring.NextChange(w.now); !got.Equal(next) {
		t.Errorf("the next change moved to %s", got)
	}
	w.rotate(keyring.Order{Rotation: "a"})
	if got := w.ring.NextChange(w.now); !got.Before(next) {
		t.Errorf("the order was not carried out: the next change is at %s", got)
	}
}

func TestAnAlgorithmEndsWhenTheClocksAgree(t *testing.T) {
	w := newWalk(t, bothRings)
	w.pass(20 * day)
	w.policy.Algorithms = []jws.Algorithm{jws.EdDSA}
	w.look(w.now.Add(time.Minute), keyring.Order{})
	w.want(jws.ES256, keyring.Active, keyring.Published)
	w.rotate(keyring.Order{})
	w.want(jws.ES256, keyring.Retired)
}

func TestAKeyThatIsMadeByAClockThatIsBehindWaitsByTheOtherOne(t *testing.T) {
	w := newWalk(t, policy)
	w.pass(day)
	w.policy.Algorithms = bothRings.Algorithms
	w.look(w.now.Add(-day), keyring.Order{})
	for _, key := range w.ring.Keys() {
		if key.Algorithm() == jws.ES256 && key.ActiveAt.Before(w.now.Add(policy.Lead+policy.Skew)) {
			t.Errorf("it signs from %s on", key.ActiveAt)
		}
	}
	w.want(jws.ES256, keyring.Published)
}

func TestAKeyThatIsGoneDoesNotComeBackWhileTheClocksDiffer(t *testing.T) {
	w := newWalk(t, bothRings)
	w.pass(20 * day)
	w.policy.Algorithms = []jws.Algorithm{jws.EdDSA}
	w.rotate(keyring.Order{})
	w.now = w.now.Add(3 * day)
	w.look(w.now.Add(time.Hour), keyring.Order{})
	w.want(jws.ES256, keyring.Gone)
	w.policy.Algorithms = bothRings.Algorithms
	w.look(w.now.Add(time.Hour), keyring.Order{})
	w.want(jws.ES256, keyring.Gone, keyring.Published)
}

func TestKeysRotateWhileTheClocksDiffer(t *testing.T) {
	w := newWalk(t, policy)
	signed := map[string]bool{}
	for range 300 {
		w.now = w.now.Add(day)
		w.look(w.now.Add(time.Hour), keyring.Order{})
		signed[w.signing().ID()] = true
		if n := len(published(t, w.ring, w.now)); n > 3 {
			t.Fatalf("%d keys in the JWK set", n)
		}
	}
	if len(signed) < 9 {
		t.Errorf("%d keys signed in 300 days", len(signed))
	}
	w.rotate(keyring.Order{})
	if n := len(w.ring.Keys()); n > 3 {
		t.Errorf("%d keys are left when the clocks agree", n)
	}
}

func TestATaintByAWrongClockLeavesAKeyThatSigns(t *testing.T) {
	for _, wrong := range wrongBy {
		t.Run(fmt.Sprint(wrong), func(t *testing.T) {
			w := newWalk(t, policy)
			w.pass(15 * day)
			withdrawn := w.signing().ID()
			w.look(w.now.Add(wrong), keyring.Order{Taint: []string{withdrawn}})
			if w.signing().ID() == withdrawn {
				t.Error("the key that was withdrawn signs")
			}
			w.pass(time.Minute)
			w.signing()
		})
	}
}
