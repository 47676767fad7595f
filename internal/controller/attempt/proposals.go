// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package attempt

import (
	"fmt"
	"io"
	"sync"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/hallpass-dev/hallpass/internal/usage"
)

// maxProposals bounds the values that are kept. The next attempt of an evicted one costs one write
// more.
const maxProposals = 16384

// UnansweredFor is how long it is remembered what a write changes that was not answered: longer
// than an API server is away.
const UnansweredFor = 30 * 24 * time.Hour

// Proposals keeps by UID the values that are on their way to Secrets, so that each attempt writes
// the same one. It cannot be printed. The zero Proposals is ready to use.
type Proposals[T any] struct {
	mu     sync.Mutex
	values map[types.UID]proposal[T]
}

type proposal[T any] struct {
	value     T
	namespace string
	until     time.Time
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

// Put keeps the value of an object until it is old. Where there is no room, the namespaces with the
// most lose their oldest.
func (p *Proposals[T]) Put(of metav1.Object, value T, until time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.values == nil {
		p.values = map[types.UID]proposal[T]{}
	}
	if _, there := p.values[of.GetUID()]; !there && len(p.values) >= maxProposals {
		p.makeRoom()
	}
	p.values[of.GetUID()] = proposal[T]{value, of.GetNamespace(), until}
}

// makeRoom drops a quarter, so that each search for the oldest makes room for many.
func (p *Proposals[T]) makeRoom() {
	held := make([]usage.Held[string, types.UID], 0, len(p.values))
	for uid, kept := range p.values {
		held = append(held, usage.Held[string, types.UID]{Thing: uid, Owner: kept.namespace, Size: 1, At: kept.until.Unix()})
	}
	for _, uid := range usage.Excess(held, maxProposals*3/4) {
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
