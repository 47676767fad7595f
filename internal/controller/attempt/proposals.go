// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package attempt

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"
)

// maxProposals bounds the values that are kept. The next attempt of an evicted one costs one write
// more.
const maxProposals = 16384

// Proposals keeps by UID the values that are on their way to Secrets, so that each attempt writes
// the same one. It cannot be printed. The zero Proposals is ready to use.
type Proposals[T any] struct {
	mu     sync.Mutex
	values map[types.UID]proposal[T]
}

type proposal[T any] struct {
	value T
	until time.Time
}

// Get returns the value of an object that was proposed here and is young.
func (p *Proposals[T]) Get(uid types.UID, now time.Time) (T, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	found := p.values[uid]
	if now.Before(found.until) {
		return found.value, true
	}
	delete(p.values, uid)
	var none T
	return none, false
}

// Put keeps a value until it is old. Where there is no room, the oldest are evicted.
func (p *Proposals[T]) Put(uid types.UID, value T, until time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.values == nil {
		p.values = map[types.UID]proposal[T]{}
	}
	if _, there := p.values[uid]; !there && len(p.values) >= maxProposals {
		p.makeRoom()
	}
	p.values[uid] = proposal[T]{value, until}
}

// makeRoom drops the oldest quarter, those that are old already among them.
func (p *Proposals[T]) makeRoom() {
	uids := slices.SortedFunc(maps.Keys(p.values), func(a, b types.UID) int { return p.values[a].until.Compare(p.values[b].until) })
	for _, uid := range uids[:len(uids)/4] {
		delete(p.values, uid)
	}
}

// Drop forgets the value of an object: it has reached its Secret, or the object is gone.
func (p *Proposals[T]) Drop(uid types.UID) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.values, uid)
}

// Format implements fmt.Formatter for every verb.
func (*Proposals[T]) Format(state fmt.State, _ rune) { _, _ = io.WriteString(state, "REDACTED") }
