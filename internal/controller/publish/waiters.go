// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package publish

import (
	"sync"

	"k8s.io/apimachinery/pkg/types"
)

// Waiters are the objects of one kind whose record is held by another object of that kind, because
// both ask for the same client_id or identifier. An object waits for one holder. The zero Waiters
// is ready to use.
type Waiters struct {
	mu sync.Mutex
	// holders are the holders that objects wait for, and byHolder is the same by holder.
	holders  map[types.NamespacedName]types.NamespacedName
	byHolder map[types.NamespacedName]map[types.NamespacedName]struct{}
}

// Wait notes that an object waits for a holder. It is called before the API server is asked whether
// the holder exists: then no deletion after that answer is missed.
func (w *Waiters) Wait(object, holder types.NamespacedName) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.forget(object)
	if w.holders == nil {
		w.holders, w.byHolder = map[types.NamespacedName]types.NamespacedName{}, map[types.NamespacedName]map[types.NamespacedName]struct{}{}
	}
	w.holders[object] = holder
	if w.byHolder[holder] == nil {
		w.byHolder[holder] = map[types.NamespacedName]struct{}{}
	}
	w.byHolder[holder][object] = struct{}{}
}

// Done notes that an object waits no more.
func (w *Waiters) Done(object types.NamespacedName) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.forget(object)
}

// Deleted forgets a deleted object, and returns those that waited for it.
func (w *Waiters) Deleted(object types.NamespacedName) []types.NamespacedName {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.forget(object)
	var waiting []types.NamespacedName
	for waiter := range w.byHolder[object] {
		waiting = append(waiting, waiter)
		delete(w.holders, waiter)
	}
	delete(w.byHolder, object)
	return waiting
}

func (w *Waiters) forget(object types.NamespacedName) {
	holder, waits := w.holders[object]
	if !waits {
		return
	}
	delete(w.holders, object)
	if delete(w.byHolder[holder], object); len(w.byHolder[holder]) == 0 {
		delete(w.byHolder, holder)
	}
}
