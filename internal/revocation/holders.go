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
// by namespace and in all, and lasting ones by namespace and in all. It gives each client a number,
// which the entries of its tokens have.
type holders struct {
	mu      sync.Mutex
	numbers map[Client]uint32
	// holders are the clients by number. Nothing has the number zero, and free ones are used
	// again.
	holders    []holder
	free       []uint32
	namespaces map[string]int
	live       int
	lasting    lasting
	// over is whether a bound may be exceeded.
	over atomic.Bool
}

// holder is a client that has tokens in memory.
type holder struct {
	Client

	live, lasting int
}

// lasting counts revocations of tokens that live too long to be collapsed.
type lasting struct {
	namespaces map[string]int
	// all is their number, and borrowed that of those beyond the shares of their namespaces.
	all, borrowed int
}

func (l *lasting) add(namespace string) {
	if l.namespaces == nil {
		l.namespaces = map[string]int{}
	}
	if l.namespaces[namespace] >= lastingShare {
		l.borrowed++
	}
	l.namespaces[namespace]++
	l.all++
}

func (l *lasting) remove(namespace string) {
	if l.namespaces[namespace] > lastingShare {
		l.borrowed--
	}
	l.all--
	if l.namespaces[namespace]--; l.namespaces[namespace] == 0 {
		delete(l.namespaces, namespace)
	}
}

// room reports whether a namespace may have one more.
func (l *lasting) room(namespace string) bool {
	return l.all < maxLasting && (l.namespaces[namespace] < lastingShare || l.borrowed < lastingLent)
}

// enter counts a token of a client, and returns the number of the client.
func (h *holders) enter(token Entry, of Client) uint32 {
	h.mu.Lock()
	defer h.mu.Unlock()
	number, there := h.numbers[of]
	if !there {
		// a request has them as parts of the record of its client
		number = h.add(Client{strings.Clone(of.ID), strings.Clone(of.Namespace)})
	}
	of = h.holders[number].Client
	if token.lasts() {
		h.holders[number].lasting++
		h.lasting.add(of.Namespace)
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
		h.lasting.remove(of.Namespace)
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
		if h.holders[number].live+h.holders[number].lasting == 0 {
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
		client = h.holders[number].live
	}
	return client, h.namespaces[of.Namespace], h.live
}

// hasRoom reports whether a namespace may have one more lasting token.
func (h *holders) hasRoom(namespace string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.lasting.room(namespace)
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
