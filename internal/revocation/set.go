// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package revocation

import (
	"slices"
	"sync"
	"time"
)

// revocationShards is how many sorted lists a set is made of. Ids are random, so a million of them are some 250 in each: eight
// comparisons to find one, and a move of two kilobytes to add one.
const revocationShards = 1 << 12

// Set is a set of revocations that have not expired. It is sorted lists of 20-byte values without a pointer that have an
// eighth of spare room at the most: about 24 MiB for a million, which the garbage collector does not look through. The zero
// Set is empty; it may be used by several goroutines.
type Set struct {
	mu     sync.RWMutex
	shards [][]Entry
	count  int
}

// shardOf is the number of the list of an id: its first twelve bits, so that the lists are in the order of ids.
func shardOf(id ID) int { return int(id[0])<<4 | int(id[1])>>4 }

// Has reports whether something was taken back that has not expired.
func (s *Set) Has(id ID, now time.Time) bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.shards == nil {
		return false
	}
	shard := s.shards[shardOf(id)]
	at, there := slices.BinarySearchFunc(shard, Entry{ID: id}, compareRevocations)
	return there && !shard[at].Expired(now)
}

// Len is how many are in the set. What has expired counts until it is swept out.
func (s *Set) Len() int {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.count
}

// Add takes back what has not expired yet, and reports whether that is news. Of two ends for one id the later counts.
func (s *Set) Add(r Entry, now time.Time) bool {
	if r.Expired(now) {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.shards == nil {
		s.shards = make([][]Entry, revocationShards)
	}
	shard := s.shards[shardOf(r.ID)]
	at, there := slices.BinarySearchFunc(shard, r, compareRevocations)
	if there {
		shard[at].Until = max(shard[at].Until, r.Until)
		return false
	}
	if len(shard) == cap(shard) {
		grown := make([]Entry, len(shard), len(shard)+len(shard)/8+2)
		copy(grown, shard)
		shard = grown
	}
	s.shards[shardOf(r.ID)] = slices.Insert(shard, at, r)
	s.count++
	return true
}

// Sweep drops what has expired, and gives its room back. It holds the lock for one list at a time, so that nobody waits for it.
func (s *Set) Sweep(now time.Time) {
	for i := range revocationShards {
		s.sweepShard(i, now)
	}
}

func (s *Set) sweepShard(i int, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.shards == nil {
		return
	}
	shard, live := s.shards[i], 0
	for _, r := range shard {
		if !r.Expired(now) {
			live++
		}
	}
	if live == len(shard) {
		return
	}
	kept := make([]Entry, 0, live)
	for _, r := range shard {
		if !r.Expired(now) {
			kept = append(kept, r)
		}
	}
	s.shards[i] = kept
	s.count -= len(shard) - live
}

// part is a part of the set, of that many.
func (s *Set) part(i, parts int) []Entry {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.shards == nil {
		return nil
	}
	return slices.Concat(s.shards[i*revocationShards/parts : (i+1)*revocationShards/parts]...)
}

// From is up to limit of those that have not expired, in the order of their ids, from that id on.
func (s *Set) From(id ID, limit int, now time.Time) []Entry {
	s.mu.RLock()
	defer s.mu.RUnlock()
	var found []Entry
	for i := shardOf(id); i < len(s.shards); i++ {
		shard := s.shards[i]
		at, _ := slices.BinarySearchFunc(shard, Entry{ID: id}, compareRevocations)
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
