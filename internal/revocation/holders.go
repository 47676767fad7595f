// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package revocation

import (
	"slices"
	"strings"
	"sync"
	"sync/atomic"
)

// holders counts the tokens in memory whose client is known: those that may be collapsed by client,
// by namespace and in all, and lasting ones by namespace and in all, as grants with a generation.
// It gives each client a number, which the entries of its tokens have.
type holders struct {
	mu      sync.Mutex
	numbers map[Client]uint32
	// holders are the clients by number. Nothing has the number zero, and free ones are used
	// again.
	holders    []holder
	free       []uint32
	namespaces map[string]int
	live       int
	lasting    shares
	// grants are those with a generation.
	grants shares
	// over is whether a bound may be exceeded.
	over atomic.Bool
}

// holder is a client that has tokens in memory.
type holder struct {
	Client

	// as many as there are entries, which are in memory
	live, lasting, grants int32
}

// bounds are how many there are in all, how many of them namespaces may have beyond their shares,
// and the share of each namespace.
type bounds struct {
	all, lent, share int
	// scarce is what is left where shares begin to shrink. It is neither lent nor a part of the
	// whole shares, so that where more namespaces than these have theirs, another one has a
	// part of a share, and one entry as long as there is any. Zero where what is taken comes
	// back within seconds: then shares do not shrink.
	scarce int
	// lasting means that what is lent comes back after months only. Then a namespace borrows no
	// more than is left to lend, so that one borrows half of it at most, and shares that are in
	// use are not lent.
	lasting bool
}

// The bounds of what is never collapsed: revocations of tokens that live too long for it, and the
// generations of grants.
var (
	lastingBounds = bounds{maxLasting, lastingLent, lastingShare, maxLasting / 16, true} //nolint:gochecknoglobals // a constant
	grantBounds   = bounds{maxGrants, lentGrants, grantShare, maxGrants / 16, true}      //nolint:gochecknoglobals // a constant
)

// shares counts by namespace, within bounds.
type shares struct {
	namespaces map[string]int
	// all is the number of all, and borrowed that of those beyond the shares of their
	// namespaces.
	all, borrowed int
}

func (s *shares) add(namespace string, b bounds) {
	if s.namespaces == nil {
		s.namespaces = map[string]int{}
	}
	if s.namespaces[namespace] >= b.share {
		s.borrowed++
	}
	s.namespaces[namespace]++
	s.all++
}

func (s *shares) remove(namespace string, b bounds) {
	if s.namespaces[namespace] > b.share {
		s.borrowed--
	}
	s.all--
	if s.namespaces[namespace]--; s.namespaces[namespace] == 0 {
		delete(s.namespaces, namespace)
	}
}

// shareOf returns the share of a namespace while so many are left.
func (b bounds) shareOf(left int) int {
	if left >= b.scarce {
		return b.share
	}
	return b.share * left / b.scarce
}

// room reports whether a namespace may have one more.
func (s *shares) room(namespace string, b bounds) bool {
	switch has := s.namespaces[namespace]; {
	case s.all >= b.all:
		return false
	case has < b.share:
		return has == 0 || has < b.shareOf(b.all-s.all)
	case b.lasting:
		return has-b.share < b.lent-s.all
	}
	return s.borrowed < b.lent
}

// enter counts a token of a client, and returns the number of the client.
func (h *holders) enter(token Entry, of Client) uint32 {
	h.mu.Lock()
	defer h.mu.Unlock()
	number := h.number(of)
	of = h.holders[number].Client
	if token.lasts() {
		h.holders[number].lasting++
		h.lasting.add(of.Namespace, lastingBounds)
		return number
	}
	h.holders[number].live++
	h.namespaces[of.Namespace]++
	h.live++
	if h.holders[number].live > maxOfClient || h.live > maxLive {
		h.over.Store(true)
	}
	return number
}

// enterGrant counts a grant of a client with a generation, and returns the number of the client.
func (h *holders) enterGrant(of Client) uint32 {
	h.mu.Lock()
	defer h.mu.Unlock()
	number := h.number(of)
	h.holders[number].grants++
	h.grants.add(h.holders[number].Namespace, grantBounds)
	return number
}

// leaveGrant stops counting a grant, which has the number of its client.
func (h *holders) leaveGrant(number uint32) {
	if number == 0 {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.holders[number].grants--
	h.grants.remove(h.holders[number].Namespace, grantBounds)
}

// number returns the number of a client, a new one if need be, for a caller that holds the lock.
func (h *holders) number(of Client) uint32 {
	if number, there := h.numbers[of]; there {
		return number
	}
	return h.add(of.clone())
}

// clone returns a copy: a request has the names of its client as parts of the client's record. Most
// ids begin with the namespace.
func (c Client) clone() Client {
	id := strings.Clone(c.ID)
	if strings.HasPrefix(id, c.Namespace) {
		return Client{id, id[:len(c.Namespace)]}
	}
	return Client{id, strings.Clone(c.Namespace)}
}

// add gives a client a number, for a caller that holds the lock.
func (h *holders) add(of Client) (number uint32) {
	if h.numbers == nil {
		h.numbers, h.namespaces, h.holders = map[Client]uint32{}, map[string]int{}, make([]holder, 1)
	}
	if last := len(h.free) - 1; last >= 0 {
		number, h.free = h.free[last], h.free[:last]
	} else {
		number = uint32(len(h.holders)) //nolint:gosec // as many as there are entries, which are in memory
		h.holders = append(h.holders, holder{})
	}
	h.numbers[of], h.holders[number] = number, holder{Client: of}
	return number
}

// leave stops counting a token, which has the number of its client.
func (h *holders) leave(token Entry) {
	if token.Client == 0 {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	of := &h.holders[token.Client]
	if token.lasts() {
		of.lasting--
		h.lasting.remove(of.Namespace, lastingBounds)
		return
	}
	of.live--
	h.live--
	if h.namespaces[of.Namespace]--; h.namespaces[of.Namespace] == 0 {
		delete(h.namespaces, of.Namespace)
	}
}

// reclaim frees the numbers of clients without tokens.
func (h *holders) reclaim() {
	h.mu.Lock()
	defer h.mu.Unlock()
	for of, number := range h.numbers {
		if left := h.holders[number]; left.live+left.lasting+left.grants == 0 {
			delete(h.numbers, of)
			h.holders[number], h.free = holder{}, append(h.free, number)
		}
	}
}

// client returns the client with a number.
func (h *holders) client(number uint32) Client {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.holders[number].Client
}

// count returns how many tokens a client and its namespace have, and how many there are in all.
func (h *holders) count(of Client) (client, namespace, all int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if number, there := h.numbers[of]; there {
		client = int(h.holders[number].live)
	}
	return client, h.namespaces[of.Namespace], h.live
}

// hasRoomToLast reports whether a namespace may have one more lasting token.
func (h *holders) hasRoomToLast(namespace string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.lasting.room(namespace, lastingBounds)
}

// hasRoomForGrant reports whether a namespace may have one more grant with a generation.
func (h *holders) hasRoomForGrant(namespace string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.grants.room(namespace, grantBounds)
}

// all returns the holders by number.
func (h *holders) all() []holder {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.holders)
}

// each returns by number what a function returns for each client.
func (h *holders) each(of func(Client) uint32) []uint32 {
	all := h.all()
	values := make([]uint32, len(all))
	for number, holder := range all {
		if holder.live > 0 {
			values[number] = of(holder.Client)
		}
	}
	return values
}
