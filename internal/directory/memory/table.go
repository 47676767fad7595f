// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package memory

import (
	"crypto/sha256"
	"sync"

	"github.com/hallpass-dev/hallpass/internal/registration"
)

// Place is the hash of a name, which takes half the memory and has no pointer. Two names do not
// share a hash of 128 bits by chance, and only the manager and administrators choose these names.
type Place [registration.LockSize]byte

// PlaceOf returns the place of an object. A namespace contains no dot, so no two objects share a
// place. That of an OAuth2Client is the place of its client_id too, unless another one was chosen.
func PlaceOf(namespace, name string) Place { return placeOf(namespace + "." + name) }

func placeOf(name string) Place {
	sum := sha256.Sum256([]byte(name))
	return Place(sum[:len(Place{})])
}

// table maps places to values. The zero value of V means that there is none.
type table[V comparable] struct {
	mu     sync.RWMutex
	values map[Place]V
}

// burst is how many values are visited before the lock is released for a moment: requests need it.
const burst = 256

func (t *table[V]) get(place Place) V {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return t.values[place]
}

func (t *table[V]) len() int {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return len(t.values)
}

func (t *table[V]) put(place Place, value V) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.set(place, value)
}

// set is put for a caller that holds the lock.
func (t *table[V]) set(place Place, value V) {
	var none V
	if value == none {
		delete(t.values, place)
		return
	}
	if t.values == nil {
		t.values = map[Place]V{}
	}
	t.values[place] = value
}

// each calls a function with every value that stays in place meanwhile. It does not hold the lock
// then.
func (t *table[V]) each(visit func(Place, V)) {
	places, values := make([]Place, 0, burst), make([]V, 0, burst)
	visitAll := func() {
		for i, place := range places {
			visit(place, values[i])
		}
		places, values = places[:0], values[:0]
	}
	t.mu.RLock()
	for place, value := range t.values {
		places, values = append(places, place), append(values, value)
		if len(places) == burst {
			t.mu.RUnlock()
			visitAll()
			t.mu.RLock()
		}
	}
	t.mu.RUnlock()
	visitAll()
}

// change replaces each value by what a function returns for it.
func (t *table[V]) change(next func(Place, V) V) {
	t.mu.Lock()
	defer t.mu.Unlock()
	visited := 0
	for place, value := range t.values {
		if changed := next(place, value); changed != value {
			t.set(place, changed)
		}
		if visited++; visited%burst == 0 {
			t.mu.Unlock()
			t.mu.Lock()
		}
	}
}

// keep removes the values that are not listed, and returns them.
func (t *table[V]) keep(listed map[Place]bool) (removed map[Place]V) {
	var none V
	removed = map[Place]V{}
	t.change(func(place Place, value V) V {
		if listed[place] {
			return value
		}
		removed[place] = value
		return none
	})
	return removed
}
