// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package budget

import "sync/atomic"

// Gate limits how much is done at once.
type Gate struct {
	limit  int64
	inside atomic.Int64
}

// NewGate makes a Gate that admits limit at once.
func NewGate(limit int) *Gate { return &Gate{limit: int64(limit)} }

// Enter reports whether there is room; who has entered calls Leave.
func (g *Gate) Enter() bool {
	if g.inside.Add(1) > g.limit {
		g.inside.Add(-1)
		return false
	}
	return true
}

// Leave makes room for another.
func (g *Gate) Leave() { g.inside.Add(-1) }
