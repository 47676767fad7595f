// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package revocation

import (
	"slices"
	"sync"
	"time"
)

// shardCount is the number of sorted lists of a set. Ids are random, so a million of them are
// some 250 a list: a look-up takes eight comparisons, and an insertion moves two kilobytes.
const shardCount = 1 << 12

// Set is a set of revocations. It consists of sorted lists of 28-byte values with at most an eighth
// of spare capacity: about 31 MiB for a million, without pointers that the garbage collector would
// follow. The zero Set is empty. It is safe for concurrent use.
type Set struct {
	mu     sync.RWMutex
	shards [][]Entry
	count  int
}

// shardOf returns the index of the list of an id: its first twelve bits, so that the lists are in
// the order of ids.
func shardOf(id ID) int { return int(id[0])<<4 | int(id[1])>>4 }

// Has reports whether an id is revoked and has not expired.
func (s *Set) Has(id ID, now time.Time) bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.shards == nil {
		return false
	}
	shard := s.shards[shardOf(id)]
	at, there := slices.BinarySearchFunc(shard, Entry{ID: id}, compareEntries)
	return there && !shard[at].Expired(now)
}

// holds reports whether the set has an id, expired or not.
func (s *Set) holds(id ID) bool { return s.Has(id, time.Time{}) }

// Len returns the number of entries. Expired ones count until Sweep removes them.
func (s *Set) Len() int {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.count
}

// Add adds an entry unless it has expired, and reports whether its id is new. Of two expiries of
// one id the later is kept.
func (s *Set) Add(r Entry, now time.Time) bool {
	if r.Expired(now) {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	_, there := s.put(r)
	return !there
}

// use adds an entry, and reports whether its id is new, and whether it was there and has expired.
func (s *Set) use(r Entry, now time.Time) (added, expired bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	before, there := s.put(r)
	return !there, there && before.Expired(now)
}

// put adds an entry for a caller that holds the lock, and returns the one that was there.
func (s *Set) put(r Entry) (before Entry, there bool) {
	if s.shards == nil {
		s.shards = make([][]Entry, shardCount)
	}
	shard := s.shards[shardOf(r.ID)]
	at, there := slices.BinarySearchFunc(shard, r, compareEntries)
	if there {
		before = shard[at]
		shard[at].Until = max(before.Until, r.Until)
		return before, true
	}
	if len(shard) == cap(shard) {
		grown := make([]Entry, len(shard), len(shard)+len(shard)/8+2)
		copy(grown, shard)
		shard = grown
	}
	s.shards[shardOf(r.ID)] = slices.Insert(shard, at, r)
	s.count++
	return Entry{}, false
}

// Sweep removes expired entries and frees their memory.
func (s *Set) Sweep(now time.Time) {
	s.sweep(func(r Entry) bool { return r.Expired(now) }, func(Entry) {})
}

// sweep removes the entries for which gone returns true, frees their memory, and calls removed for
// each. It locks one list at a time, so that readers do not wait for all of it.
func (s *Set) sweep(gone func(Entry) bool, removed func(Entry)) {
	for i := range shardCount {
		s.sweepShard(i, gone, removed)
	}
}

func (s *Set) sweepShard(i int, gone func(Entry) bool, removed func(Entry)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.shards == nil {
		return
	}
	shard, live := s.shards[i], 0
	for _, r := range shard {
		if !gone(r) {
			live++
		}
	}
	if live == len(shard) {
		return
	}
	kept := make([]Entry, 0, live)
	for _, r := range shard {
		if gone(r) {
			removed(r)
		} else {
			kept = append(kept, r)
		}
	}
	s.shards[i] = kept
	s.count -= len(shard) - live
}

// each calls a function with every entry. It locks one list at a time.
func (s *Set) each(visit func(Entry)) {
	for i := range shardCount {
		for _, r := range s.part(i, shardCount) {
			visit(r)
		}
	}
}

// part returns the entries of the i-th of so many parts of the set.
func (s *Set) part(i, parts int) []Entry {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.shards == nil {
		return nil
	}
	return slices.Concat(s.shards[i*shardCount/parts : (i+1)*shardCount/parts]...)
}

// From returns up to limit entries that have not expired, in the order of their ids, beginning at
// an id.
func (s *Set) From(id ID, limit int, now time.Time) []Entry {
	s.mu.RLock()
	defer s.mu.RUnlock()
	var found []Entry
	for i := shardOf(id); i < len(s.shards); i++ {
		shard := s.shards[i]
		at, _ := slices.BinarySearchFunc(shard, Entry{ID: id}, compareEntries)
		for _, r := range shard[at:] {
			if len(found) == limit {
				return found
			}
			if !r.Expired(now) {
				found = append(found, r)
			}
		}
	}
	return found
}
