// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package budget

import (
	"hash/maphash"
	"sync"
)

// Places limits how much is held at once, and guarantees some of it to each holder. A holder beyond
// its share borrows, from the part of the limit that is lent. So a holder within its share is
// refused only while the shares of others, without what they borrow, occupy all that is not lent.
type Places struct {
	limit, lent, share int
	seed               maphash.Seed

	mu             sync.Mutex
	used, borrowed int
	held           map[uint64]int // by the hash of the holder
}

// NewPlaces makes Places: limit in all, of which lent may be borrowed, and share for each holder.
func NewPlaces(limit, lent, share int) *Places {
	return &Places{limit: limit, lent: lent, share: share, seed: maphash.MakeSeed(), held: map[uint64]int{}}
}

// Enter reports whether there is a place for a holder; who has entered calls Leave.
func (p *Places) Enter(holder string) bool {
	key := maphash.String(p.seed, holder)
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.room(key) {
		return false
	}
	p.add(key)
	return true
}

// Leave gives a place back.
func (p *Places) Leave(holder string) {
	key := maphash.String(p.seed, holder)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.remove(key)
}

// Move gives the place of one holder to another. It reports whether the other one may have it; if
// not, nothing changes.
func (p *Places) Move(from, to string) bool {
	giver, taker := maphash.String(p.seed, from), maphash.String(p.seed, to)
	if giver == taker {
		return true
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.remove(giver)
	if !p.room(taker) {
		p.add(giver)
		return false
	}
	p.add(taker)
	return true
}

func (p *Places) room(key uint64) bool {
	return p.used < p.limit && (p.held[key] < p.share || p.borrowed < p.lent)
}

func (p *Places) add(key uint64) {
	held := p.held[key]
	if held >= p.share {
		p.borrowed++
	}
	p.used++
	p.held[key] = held + 1
}

func (p *Places) remove(key uint64) {
	held := p.held[key]
	if held > p.share {
		p.borrowed--
	}
	p.used--
	if held > 1 {
		p.held[key] = held - 1
	} else {
		delete(p.held, key)
	}
}
