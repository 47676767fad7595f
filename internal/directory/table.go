// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package directory

import (
	"crypto/sha256"
	"maps"
	"sync"

	"github.com/hallpass-dev/hallpass/internal/registration"
)

// table is values by the hashes of their names, for many of them. It does not keep the names themselves: half the memory, and nothing
// in it for the garbage collector to follow. Two names with one hash of 128 bits do not happen by chance, and only the manager
// and administrators name what is in a table.
type table[V any] struct {
	mu     sync.RWMutex
	values map[hash]V
}

type hash [registration.LockSize]byte

func hashOf(name string) hash {
	sum := sha256.Sum256([]byte(name))
	return hash(sum[:len(hash{})])
}

func (t *table[V]) get(key hash) (V, bool) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	value, there := t.values[key]
	return value, there
}

func (t *table[V]) put(key hash, value V) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.values == nil {
		t.values = map[hash]V{}
	}
	t.values[key] = value
}

func (t *table[V]) remove(key hash) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.values, key)
}

// burst is how many values are visited before the lock is let go for a moment: decisions need it.
const burst = 256

// each calls a function with every value that is there all the time. It never has the lock for long.
func (t *table[V]) each(visit func(V)) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	visited := 0
	for _, value := range t.values {
		visit(value)
		if visited++; visited%burst == 0 {
			t.mu.RUnlock()
			t.mu.RLock()
		}
	}
}

// all is what the table holds.
func (t *table[V]) all() map[hash]V {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return maps.Clone(t.values)
}

// fill makes the table hold what another one held.
func (t *table[V]) fill(values map[hash]V) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.values = maps.Clone(values)
}

// keep removes what is not listed, and returns it. It never has the lock for long.
func (t *table[V]) keep(listed map[hash]bool) (removed map[hash]V) {
	t.mu.Lock()
	defer t.mu.Unlock()
	visited := 0
	for key := range t.values {
		if !listed[key] {
			if removed == nil {
				removed = map[hash]V{}
			}
			removed[key] = t.values[key]
			delete(t.values, key)
		}
		if visited++; visited%burst == 0 {
			t.mu.Unlock()
			t.mu.Lock()
		}
	}
	return removed
}
