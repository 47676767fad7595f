// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package reporter

import (
	"maps"

	"github.com/hallpass-dev/hallpass/internal/usage"
)

// makeRoom forgets objects of the namespaces that take more than a fair share, those that were used
// least recently first, if all take nearly as much as they may. Other requests go on meanwhile, as
// long as there is room left.
func (g *Gatherer) makeRoom() {
	nearly := g.most - g.most/16
	if g.bytes.Load() < nearly {
		return
	}
	if !g.making.TryLock() {
		if g.bytes.Load() < g.most {
			return
		}
		g.making.Lock()
	}
	defer g.making.Unlock()
	if g.bytes.Load() < nearly { // another request has made room
		return
	}
	g.loseExcess(int(nearly - g.most/8)) // so that each search makes room for many
}

// loseExcess forgets what does not fit into a room. What it forgets is lost.
func (g *Gatherer) loseExcess(room int) {
	var stored []usage.Held[*owner, usage.Key]
	for i := range g.shards {
		home := &g.shards[i]
		home.mu.RLock()
		for key, s := range home.subjects {
			stored = append(stored, usage.Held[*owner, usage.Key]{Thing: key, Owner: s.of, Size: int(s.bytes), At: int64(s.latest())})
		}
		home.mu.RUnlock()
	}
	for _, key := range usage.Excess(stored, room) {
		g.lose(key)
	}
}

// lose forgets an object. The loss is recorded before the object is gone, so that no report lacks
// both.
func (g *Gatherer) lose(key usage.Key) {
	home := g.home(key)
	home.mu.Lock()
	defer home.mu.Unlock()
	s := home.subjects[key]
	if s == nil {
		return
	}
	until := s.latest() + 1
	switch {
	case s.of.namespace != "":
		g.mu.Lock()
		g.lost[s.of.namespace] = max(g.lost[s.of.namespace], until)
		g.mu.Unlock()
	case s.credentials.id != "":
		advance(&g.from, uint32(until))
	default: // a token of a client that is not known: its loss hides no use of a secret
	}
	g.forget(home, key, s)
}

// latest is the last use of an object; see usage.Seen.Latest.
func (s *subject) latest() usage.Minute {
	last := max(s.issued.Load(), s.presented.Load())
	for c := &s.credentials; c != nil; c = c.next {
		last = max(last, c.at.Load())
	}
	for i := range s.stale {
		if stale := s.stale[i].Load(); stale != nil {
			last = max(last, stale.at.Load())
		}
	}
	return usage.Minute(last)
}

// covered returns the namespaces that lost uses, and the minute since which no other use is
// missing. Old uses are forgotten.
func (g *Gatherer) covered(now usage.Minute) ([]usage.Loss, usage.Minute) {
	if now > keepMinutes {
		advance(&g.from, uint32(now-keepMinutes))
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	losses, from := usage.BoundLosses(g.lost, usage.Minute(g.from.Load()))
	advance(&g.from, uint32(from))
	maps.DeleteFunc(g.lost, func(_ string, until usage.Minute) bool { return until <= from })
	return losses, from
}
