// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package fair

import (
	"sync"

	"sigs.k8s.io/controller-runtime/pkg/reconcile"
)

// maxAdmitted is how many requests of a low priority the queue of client-go has at most.
const maxAdmitted = 256

// backlog is the requests of a low priority that the queue of client-go does not have yet. A start
// adds each object, and that queue keeps the memory of its sets and of its metrics for ever: 300
// bytes for each object of a controller.
//
// Requests are admitted by turns of the namespaces too. While the backlog has requests, the queue
// has as many of a low priority as it may; each time it serves one of them, the next is admitted.
type backlog struct {
	mu    sync.Mutex
	turns *turns
	// admitted are those of a low priority that were not served since.
	admitted map[reconcile.Request]struct{}
}

// add admits a request, or has it wait.
func (b *backlog) add(request reconcile.Request, priority int, admit func(reconcile.Request, int)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if _, there := b.admitted[request]; there || len(b.admitted) < maxAdmitted {
		b.admitted[request] = struct{}{}
		admit(request, priority)
		return
	}
	b.turns.add(request, priority)
}

// served admits another request in the place of one that was served.
func (b *backlog) served(request reconcile.Request, admit func(reconcile.Request, int)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.admitted, request)
	for len(b.admitted) < maxAdmitted && b.turns.Len() > 0 {
		next := b.turns.Pop()
		b.admitted[next] = struct{}{}
		admit(next, b.turns.priorityOf(next))
	}
}

func (b *backlog) len() int { return b.turns.Len() }
