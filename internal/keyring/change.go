// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package keyring

import (
	"slices"

	"github.com/hallpass-dev/hallpass/internal/jws"
)

// Tainted is the state of a key that was withdrawn with every token it signed.
const Tainted State = "Tainted"

// Change says that a key came into a state.
type Change struct {
	KeyID     string
	Algorithm jws.Algorithm
	State     State
}

// changesBetween lists what became of each key between the last instants of two rings, in the order in which it came about.
// A key that is new, or that was left alone for long, comes through several states at once.
func changesBetween(before, after Ring) []Change {
	order := []State{Published, Active, Retired, Gone}
	var changes []Change
	for _, key := range before.keys {
		if _, there := after.byID[key.ID()]; there {
			continue
		}
		state := Gone
		if after.isTainted(key.ID()) {
			state = Tainted
		}
		changes = append(changes, Change{key.ID(), key.Algorithm(), state})
	}
	for _, key := range after.keys {
		reached := -1
		if known, there := before.byID[key.ID()]; there {
			reached = slices.Index(order, known.State(before.asOf))
		}
		now := slices.Index(order, key.State(after.asOf))
		for _, state := range order[min(reached, now)+1 : now+1] {
			changes = append(changes, Change{key.ID(), key.Algorithm(), state})
		}
	}
	return changes
}
