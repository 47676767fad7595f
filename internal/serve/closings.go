// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package serve

import (
	"log/slog"
	"net/netip"
	"sync"
	"time"
)

// Bound is the bound for which a connection of a caller is closed.
type Bound string

const (
	// BoundSource is Bounds.PerSource.
	BoundSource Bound = "source"
	// BoundTotal is Bounds.Total.
	BoundTotal Bound = "total"
	// BoundMemory is the limit of a Room.
	BoundMemory Bound = "memory"
)

// EachBound lists the bounds.
var EachBound = [...]Bound{BoundSource, BoundTotal, BoundMemory} //nolint:gochecknoglobals // a constant

// closingsLogged is the time in which at most one closed connection is logged.
const closingsLogged = time.Second

// Closings reports connections that were closed for a bound, which their callers see hung up.
type Closings struct {
	// Count counts each of them.
	Count func(Bound)
	// Log names the source of one a second.
	Log *slog.Logger
	// Now is the clock.
	Now func() time.Time

	mu       sync.Mutex
	next     time.Time
	unlogged int
}

// Closed reports a connection of a source; it is for Bounds.
func (c *Closings) Closed(bound Bound, source netip.Prefix) {
	c.Count(bound)
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.Now()
	if now.Before(c.next) {
		c.unlogged++
		return
	}
	c.Log.Warn("closed a connection of a caller", "bound", string(bound), "source", source.String(), "others_since_the_last", c.unlogged)
	c.next, c.unlogged = now.Add(closingsLogged), 0
}
