// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

// Package budget limits how often something is done, by a hierarchy of keys: for example by caller,
// and by all callers together. The algorithm is GCRA, the generic cell rate algorithm: of each key
// it stores one instant, the theoretical arrival time (TAT).
//
// It has no clock and does no I/O: now is an argument.
package budget

import (
	"hash/maphash"
	"sync"
	"sync/atomic"
	"time"
)

// Level is a limit on each key of one kind: Burst requests at once, and one more in each Interval.
type Level struct {
	Burst    int
	Interval time.Duration
	// Shared means that all requests have the same key, the zero one.
	Shared bool
}

// Key is whose budget a request spends at a level: that of Who, for What. Either may be empty.
type Key struct {
	Level     int
	Who, What string
}

// Decision is the result of Take.
type Decision struct {
	OK bool
	// Level is the level that refused, and Wait the time after which it has something left. Of
	// several levels it is the one with the longest wait.
	Level int
	Wait  time.Duration
}

// Budget is a bounded table of TATs for each level. A hash, whose seeds are secret, assigns a key
// to a set of four entries. If other keys occupy the set, the key with the earliest TAT is evicted,
// because it has the most left. So a new key costs what a known one does, and the garbage collector
// has nothing to scan.
type Budget struct {
	seeds [2]maphash.Seed

	mu     sync.Mutex
	levels []table
}

type table struct {
	burst, interval int64 // nanoseconds
	sets            [][ways]entry
}

// entry is the TAT of a key, in Unix nanoseconds.
type entry struct {
	key uint64
	tat int64
}

const (
	sets = 4 << 10
	ways = 4
)

// maxKeys is the number of keys of one Take: one for each level.
const maxKeys = 4

// New makes a Budget. A Key names a level by its place in the list.
func New(levels ...Level) *Budget {
	b := &Budget{seeds: [2]maphash.Seed{maphash.MakeSeed(), maphash.MakeSeed()}}
	for _, level := range levels {
		size := sets
		if level.Shared {
			size = 1
		}
		b.levels = append(b.levels, table{
			burst: int64(level.Burst) * int64(level.Interval), interval: int64(level.Interval), sets: make([][ways]entry, size),
		})
	}
	return b
}

// Take spends one request of each key, or none if one of the keys has nothing left. The keys are of
// different levels, and at most four.
func (b *Budget) Take(now time.Time, keys ...Key) Decision {
	at := now.UnixNano()
	var places [maxKeys]*entry
	var taken [maxKeys]entry
	decision := Decision{OK: true}
	b.mu.Lock()
	defer b.mu.Unlock()
	for i, key := range keys {
		level := &b.levels[key.Level]
		sum := maphash.String(b.seeds[0], key.Who) ^ maphash.String(b.seeds[1], key.What)
		places[i] = level.find(sum)
		tat := at
		if places[i].key == sum {
			tat = max(tat, places[i].tat)
		}
		taken[i] = entry{key: sum, tat: tat + level.interval}
		if wait := time.Duration(taken[i].tat - level.burst - at); wait > decision.Wait {
			decision = Decision{Level: key.Level, Wait: wait}
		}
	}
	if decision.OK {
		for i := range keys {
			*places[i] = taken[i]
		}
	}
	return decision
}

// find returns the entry of a key, or the one that the key may have.
func (t *table) find(key uint64) *entry {
	set := &t.sets[key%uint64(len(t.sets))]
	place := &set[0]
	for i := range set {
		if set[i].key == key {
			return &set[i]
		}
		if set[i].tat < place.tat {
			place = &set[i]
		}
	}
	return place
}

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
