// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"context"
	"sync"

	"sigs.k8s.io/controller-runtime/pkg/event"

	"github.com/hallpass-dev/hallpass/internal/controller/output"
)

// ends has the writes that end what is on record of an owner, from before each write until it is
// known whether it was done: the API server may not answer it. The zero ends is ready to use.
type ends struct {
	mu sync.Mutex
	of map[string]*end
}

// end is such a write of the record of a name.
type end struct {
	owner owner
	// unanswered means that the API server did not answer it, seen that the record was deleted
	// before that was known.
	unanswered, seen bool
}

// begin records a write before it is made. One for the same owner that was not answered may still
// be done: a late cache does not show it.
func (e *ends) begin(name string, of owner) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.of == nil {
		e.of = map[string]*end{}
	}
	if begun := e.of[name]; begun == nil || begun.owner.uid != of.uid {
		e.of[name] = &end{owner: of}
	}
}

// answered reports whether the write of a record is known to be done, by its error or nil.
func (e *ends) answered(name string, failure error) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	begun := e.of[name]
	switch {
	case failure == nil, begun.seen:
		delete(e.of, name)
		return true
	case output.MayBeDone(failure):
		begun.unanswered = true
	case !begun.unanswered:
		delete(e.of, name)
	}
	return false
}

// found returns the owner whose unanswered write was done, as its record shows, once.
func (e *ends) found(name string) (owner, bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	begun := e.of[name]
	switch {
	case begun == nil:
		return owner{}, false
	case !begun.unanswered:
		begun.seen = true
		return owner{}, false
	}
	delete(e.of, name)
	return begun.owner, true
}

// afterEnd writes the audit lines of a record whose deletion was not answered.
func (r *Reconciler) afterEnd(_ context.Context, e event.DeleteEvent, _ queue) {
	if ended, done := r.ends.found(e.Object.GetName()); done {
		r.audit(ended)
	}
}
