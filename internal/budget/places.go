// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package budget

import (
	"hash/maphash"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"sync"
)

// Places limits how much is held at once, and guarantees some of it to each holder. A holder beyond
// its share borrows, from the part of the limit that is lent. So a holder within its share is
// refused only while the shares of others, without what they borrow, occupy all that is not lent.
//
// If the holders are sources, their networks have shares too, because one party may have a network
// whole. A source within its share borrows while a network around it has its part of what is not
// lent: of the places there that are free, a quarter for the widest network, and half as much for
// each narrower one, and a share in any case. So sources of one network leave the shares of others
// to them, and one source leaves those of its neighbours to them.
type Places struct {
	limit, lent, share int
	seed               maphash.Seed
	sources            *Sources // nil if the holders are none

	mu             sync.Mutex
	used, borrowed int
	// few are the holders of all places while these are few. Then no holder can be refused, and
	// nothing is counted by holder.
	few []occupied
	// held has what each holder has, by its hash, and holders is the number of those that have
	// something. The others are remembered for a while, because most come back soon.
	held    map[uint64]holding
	holders int
	// networks are how many places the sources of a network hold that are not borrowed, by the
	// hash of the network.
	networks map[uint64]int
}

// holding is what a holder has.
type holding struct {
	places, borrowed int
	// around are the hashes of the networks of a source, the widest first, and depth their
	// number.
	around [maxNetworks]uint64
	depth  int
}

// occupied is one place and its holder.
type occupied struct {
	key    uint64
	holder string
}

const (
	// maxIdle is how many holders are remembered that have nothing.
	maxIdle = 256
	// maxFew is how many places are few. A search for a holder reads all of them.
	maxFew = 16
)

// NewPlaces makes Places: limit in all, of which lent may be borrowed, and share for each holder.
func NewPlaces(limit, lent, share int) *Places {
	return &Places{
		limit: limit, lent: lent, share: share, seed: maphash.MakeSeed(), held: map[uint64]holding{}, networks: map[uint64]int{},
		// all of which may be borrowed
		few: make([]occupied, 0, max(0, min(maxFew, lent, limit))),
	}
}

// NewSourcePlaces makes Places whose holders are sources, by Sources.Of or the address alone, and
// others, whose names are no addresses.
func NewSourcePlaces(limit, lent, share int, sources Sources) *Places {
	p := NewPlaces(limit, lent, share)
	p.sources = &sources
	return p
}

// Enter reports whether there is a place for a holder; who has entered calls Leave.
func (p *Places) Enter(holder string) bool {
	key := maphash.String(p.seed, holder)
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.used == 0 {
		if len(p.few) < cap(p.few) {
			p.few = append(p.few, occupied{key, holder})
			return true
		}
		p.count()
	}
	return p.add(key, holder)
}

// count begins to count by holder.
func (p *Places) count() {
	for _, o := range p.few {
		p.add(o.key, o.holder)
	}
	clear(p.few)
	p.few = p.few[:0]
}

// of is where few has a place of a holder; -1 if it has none.
func (p *Places) of(key uint64) int {
	return slices.IndexFunc(p.few, func(o occupied) bool { return o.key == key })
}

// Leave gives a place back.
func (p *Places) Leave(holder string) {
	key := maphash.String(p.seed, holder)
	p.mu.Lock()
	defer p.mu.Unlock()
	if i := p.of(key); i >= 0 {
		last := len(p.few) - 1
		p.few[i], p.few[last] = p.few[last], occupied{}
		p.few = p.few[:last]
		return
	}
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
	if i := p.of(giver); i >= 0 {
		p.few[i] = occupied{taker, to}
		return true
	}
	before, borrowed := p.held[giver], p.borrowed
	p.remove(giver)
	if p.add(taker, to) {
		return true
	}
	p.restore(giver, before, p.borrowed < borrowed)
	return false
}

// add adds a place to those of a holder, if there is one for it.
func (p *Places) add(key uint64, holder string) bool {
	if p.used >= p.limit {
		return false
	}
	h, known := p.held[key]
	if !known {
		h = p.holdingOf(holder)
	}
	borrows := h.places-h.borrowed >= p.share || p.crowded(h)
	if borrows && p.borrowed >= p.lent {
		return false
	}
	h.places++
	if borrows {
		h.borrowed++
	}
	p.restore(key, h, borrows)
	return true
}

// restore stores what a holder has with one place more.
func (p *Places) restore(key uint64, h holding, borrows bool) {
	p.held[key] = h
	p.used++
	if h.places == 1 {
		p.holders++
	}
	if borrows {
		p.borrowed++
		return
	}
	for _, network := range h.around[:h.depth] {
		p.networks[network]++
	}
}

// crowded reports whether a network around a holder has its part of what is not lent.
func (p *Places) crowded(h holding) bool {
	free := p.limit - p.lent - (p.used - p.borrowed)
	for i, network := range h.around[:h.depth] {
		if p.networks[network] >= max(p.share, free>>(2+i)) {
			return true
		}
	}
	return false
}

// remove gives back one place of a holder, and first one that is borrowed.
func (p *Places) remove(key uint64) {
	h := p.held[key]
	p.used--
	if h.places--; h.borrowed > 0 {
		h.borrowed--
		p.borrowed--
	} else {
		for _, network := range h.around[:h.depth] {
			if p.networks[network]--; p.networks[network] == 0 {
				delete(p.networks, network)
			}
		}
	}
	p.held[key] = h
	if h.places > 0 {
		return
	}
	if p.holders--; len(p.held)-p.holders > maxIdle {
		maps.DeleteFunc(p.held, func(_ uint64, h holding) bool { return h.places == 0 })
	}
}

// holdingOf is that of a holder that has nothing yet.
func (p *Places) holdingOf(holder string) (h holding) {
	if p.sources == nil {
		return h
	}
	source := sourceOf(holder)
	if !source.IsValid() {
		return h
	}
	around, depth, alone := p.sources.around(source)
	if alone {
		return h
	}
	for i, network := range around[:depth] {
		h.around[i] = maphash.Comparable(p.seed, network)
	}
	h.depth = depth
	return h
}

// sourceOf is the source that a text names, by Sources.Of or the address alone; invalid if it names
// none. The error of what is neither would be an allocation of each request.
func sourceOf(text string) netip.Prefix {
	var source netip.Prefix
	switch {
	case strings.Contains(text, "/"):
		source, _ = netip.ParsePrefix(text) // it is invalid then
	case strings.ContainsAny(text, ".:"):
		address, _ := netip.ParseAddr(text) // it is invalid then
		source = netip.PrefixFrom(address, address.BitLen())
	}
	return source
}
