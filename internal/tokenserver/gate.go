// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package tokenserver

import (
	"sync/atomic"
	"time"

	"github.com/hallpass-dev/hallpass/internal/oauth2"
)

// The bounds on what is done at once. Beyond them requests are turned away before they cost memory.
const (
	// DefaultMaxInFlight is how many requests are worked on at once. Look-ups, the only thing that a request waits for, have a
	// budget far below it.
	DefaultMaxInFlight = 512
	// smallBody is what every request may send without asking; 5,000 slow senders of as much hold 40 MiB.
	smallBody = 8 << 10
	// maxLargeBodies is how many longer bodies are read at once.
	maxLargeBodies = 64

	overloadRetry = time.Second
)

// gate lets a bounded number in at once.
type gate struct {
	room   int64
	inside atomic.Int64
}

func newGate(room int) *gate { return &gate{room: int64(room)} }

// enter reports whether there is room; whoever entered leaves.
func (g *gate) enter() bool {
	if g.inside.Add(1) > g.room {
		g.inside.Add(-1)
		return false
	}
	return true
}

func (g *gate) leave() { g.inside.Add(-1) }

// overloaded is the refusal of a request for which there is no room.
func overloaded() error {
	return &oauth2.Error{
		Code: oauth2.TemporarilyUnavailable, Reason: reasonOverloaded, RetryAfter: overloadRetry,
		Description: "too many requests at once; try again shortly",
	}
}
