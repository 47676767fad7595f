// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package fair

import (
	"slices"
	"sync"

	"sigs.k8s.io/controller-runtime/pkg/reconcile"
)

// lowerEvery is how often a request of a lower priority is served although one of a higher priority
// waits: urgent work of one namespace that never ends must not keep the work of others for ever.
const lowerEvery = 64

// turns is the order of the requests that are ready: by priority, then by turns of the namespaces,
// then in the order in which they came. It implements workqueue.Queue, whose methods are called
// under the lock of the work queue; the lock here is for those of the priorities.
type turns struct {
	namespaceOf func(reconcile.Request) string

	mu sync.Mutex
	// noted are the priorities of requests that are being added, and served those of requests
	// that were handed out; both without those of priority 0.
	noted, served map[reconcile.Request]int
	// ready has the priority of each request that is ready.
	ready map[reconcile.Request]int
	// levels are the priorities that requests had, the highest first.
	levels []*level
	pops   int
}

// level is the requests of one priority.
type level struct {
	priority int
	lines    map[string]*line
	// turn are the lines that have requests, the next one first.
	turn []*line
}

// line is the requests of a namespace. One whose priority was raised stays in its former line, and
// is skipped there.
type line struct {
	namespace string
	requests  []reconcile.Request
}

func newTurns(namespaceOf func(reconcile.Request) string) *turns {
	return &turns{
		namespaceOf: namespaceOf, noted: map[reconcile.Request]int{}, served: map[reconcile.Request]int{}, ready: map[reconcile.Request]int{},
	}
}

// note records the priority of a request that is about to be added.
func (t *turns) note(request reconcile.Request, priority int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if delete(t.noted, request); priority != 0 {
		t.noted[request] = priority
	}
}

// priorityOf returns the priority of a request that was handed out.
func (t *turns) priorityOf(request reconcile.Request) int {
	t.mu.Lock()
	defer t.mu.Unlock()
	priority := t.served[request]
	delete(t.served, request)
	return priority
}

// Len implements workqueue.Queue.
func (t *turns) Len() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.ready)
}

// Push implements workqueue.Queue.
func (t *turns) Push(request reconcile.Request) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.push(request, t.noted[request])
	delete(t.noted, request)
}

// Touch implements workqueue.Queue: a request that is added again has the higher of both
// priorities.
func (t *turns) Touch(request reconcile.Request) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if priority := t.noted[request]; priority > t.ready[request] {
		t.push(request, priority)
	}
	delete(t.noted, request)
}

// add adds a request, or raises its priority.
func (t *turns) add(request reconcile.Request, priority int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if before, there := t.ready[request]; !there || priority > before {
		t.push(request, priority)
	}
}

func (t *turns) push(request reconcile.Request, priority int) {
	t.ready[request] = priority
	t.level(priority).push(t.namespaceOf(request), request)
}

func (t *turns) level(priority int) *level {
	at, found := slices.BinarySearchFunc(t.levels, priority, func(l *level, priority int) int { return priority - l.priority })
	if !found {
		t.levels = slices.Insert(t.levels, at, &level{priority: priority, lines: map[string]*line{}})
	}
	return t.levels[at]
}

// Pop implements workqueue.Queue.
func (t *turns) Pop() reconcile.Request {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.pops++
	order := t.levels
	if t.pops%lowerEvery == 0 && len(order) > 1 {
		lower := 1 + t.pops/lowerEvery%(len(order)-1)
		order = append([]*level{order[lower]}, order...)
	}
	for _, l := range order {
		for request, ok := l.pop(); ok; request, ok = l.pop() {
			priority, ready := t.ready[request]
			if !ready || priority != l.priority {
				continue // its priority was raised, or it was served since
			}
			if delete(t.ready, request); len(t.ready) == 0 {
				// a map never shrinks, and after a start it had all objects
				t.ready = map[reconcile.Request]int{}
			}
			if priority != 0 {
				t.served[request] = priority
			}
			return request
		}
	}
	return reconcile.Request{} // Len was 0
}

func (l *level) push(namespace string, request reconcile.Request) {
	of := l.lines[namespace]
	if of == nil {
		of = &line{namespace: namespace}
		l.lines[namespace] = of
		l.turn = append(l.turn, of)
	}
	of.requests = append(of.requests, request)
}

// pop takes the first request of the namespace whose turn it is, which is then the last one.
func (l *level) pop() (reconcile.Request, bool) {
	if len(l.turn) == 0 {
		return reconcile.Request{}, false
	}
	first := l.turn[0]
	l.turn[0] = nil // or it would keep the line
	l.turn = l.turn[1:]
	request := first.requests[0]
	if first.requests = first.requests[1:]; len(first.requests) > 0 {
		l.turn = append(l.turn, first)
	} else {
		delete(l.lines, first.namespace)
	}
	return request, true
}
