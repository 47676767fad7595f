// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package keyring

import (
	"slices"
	"time"

	"github.com/hallpass-dev/hallpass/internal/jws"
)

// Tainted is the state of a key that was withdrawn with all tokens that it signed.
const Tainted State = "Tainted"

// Change is the transition of a key to a state.
type Change struct {
	KeyID     string
	Algorithm jws.Algorithm
	State     State
	// At is the instant of the transition, for every replica.
	At time.Time
}

// changesBetween lists the transitions of each key between the last instants of two rings, in
// order. A key may pass through several states at once.
func changesBetween(before, after Ring) []Change {
	order := []State{Published, Active, Retired, Gone}
	since := before.asOf
	if since.After(after.asOf) {
		since = after.asOf // by a clock that was ahead
	}
	var changes []Change
	for _, key := range before.keys {
		if _, there := after.byID[key.ID()]; there {
			continue
		}
		change := Change{key.ID(), key.Algorithm(), Gone, key.GoneAt}
		if i := slices.IndexFunc(after.tainted, func(t Taint) bool { return t.KeyID == key.ID() }); i >= 0 {
			change.State, change.At = Tainted, after.tainted[i].At
		} else if key.GoneAt.IsZero() {
			change.At = after.asOf // a line that ended before it signed
		}
		changes = append(changes, change)
	}
	for _, key := range after.keys {
		reached := -1
		if known, there := before.byID[key.ID()]; there {
			reached = slices.Index(order, known.State(since))
		}
		now := slices.Index(order, key.State(after.asOf))
		instants := []time.Time{key.PublishedAt, key.ActiveAt, key.RetiredAt, key.GoneAt}
		for i := min(reached, now) + 1; i <= now; i++ {
			changes = append(changes, Change{key.ID(), key.Algorithm(), order[i], instants[i]})
		}
	}
	return changes
}
