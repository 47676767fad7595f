// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package packed

import (
	"slices"
	"sync"

	toolscache "k8s.io/client-go/tools/cache"
)

// handlers are the event handlers of an informer. It is the one handler that the informer
// underneath has: each handler of that one has a queue as long as there are objects, and would
// unpack each event.
type handlers struct {
	// feed is the registration of this handler, failure why there is none.
	feed    toolscache.ResourceEventHandlerRegistration
	failure error

	mu  sync.Mutex
	all []*registration

	// arriving are handlers that wait to be added. The one that has mu next adds all of them.
	waiting  sync.Mutex
	arriving []*registration
}

// registration is that of one handler.
type registration struct {
	toolscache.ResourceEventHandlerRegistration

	handler toolscache.ResourceEventHandler
}

// add adds a handler, which gets what is stored, and then each event. An event that was under way
// may show it an object as it was before. Handlers that are added at once, as those of all
// controllers at the start, get what is stored unpacked once.
func (h *handlers) add(handler toolscache.ResourceEventHandler, stored toolscache.Store) (toolscache.ResourceEventHandlerRegistration, error) {
	if h.failure != nil {
		return nil, h.failure
	}
	added := &registration{h.feed, handler}
	h.waiting.Lock()
	h.arriving = append(h.arriving, added)
	h.waiting.Unlock()
	h.mu.Lock()
	defer h.mu.Unlock()
	h.waiting.Lock()
	arrived := h.arriving
	h.arriving = nil
	h.waiting.Unlock()
	if len(arrived) == 0 {
		return added, nil // by a call that had the lock before
	}
	h.all = append(h.all, arrived...)
	for _, o := range stored.List() {
		o = unpack(o)
		for _, r := range arrived {
			r.handler.OnAdd(o, true)
		}
	}
	return added, nil
}

func (h *handlers) remove(handle toolscache.ResourceEventHandlerRegistration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.all = slices.DeleteFunc(h.all, func(r *registration) bool { return r == handle })
}

// OnAdd implements toolscache.ResourceEventHandler.
func (h *handlers) OnAdd(o any, listed bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.all) == 0 {
		return
	}
	o = unpack(o)
	for _, r := range h.all {
		r.handler.OnAdd(o, listed)
	}
}

// OnUpdate implements toolscache.ResourceEventHandler.
func (h *handlers) OnUpdate(before, after any) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.all) == 0 {
		return
	}
	before, after = unpack(before), unpack(after)
	for _, r := range h.all {
		r.handler.OnUpdate(before, after)
	}
}

// OnDelete implements toolscache.ResourceEventHandler.
func (h *handlers) OnDelete(o any) {
	h.mu.Lock()
	defer h.mu.Unlock()
	o = unpack(o)
	for _, r := range h.all {
		r.handler.OnDelete(o)
	}
}
