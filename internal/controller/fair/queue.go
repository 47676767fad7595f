// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

// Package fair has the work queues of the controllers. A queue serves namespaces in turn, so that
// however many objects of one namespace wait, an object of another one is next but for the number
// of namespaces that have work.
package fair

import (
	"time"

	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/controller/priorityqueue"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
)

// Options are those of a controller with so many workers. Requests are served by turns of the
// namespaces that namespaceOf returns for them; without it, by those in their keys.
func Options(workers int, limiter workqueue.TypedRateLimiter[reconcile.Request], namespaceOf func(reconcile.Request) string) controller.Options {
	if namespaceOf == nil {
		namespaceOf = func(request reconcile.Request) string { return request.Namespace }
	}
	return controller.Options{
		MaxConcurrentReconciles: workers,
		RateLimiter:             limiter,
		NewQueue: func(name string, limiter workqueue.TypedRateLimiter[reconcile.Request]) workqueue.TypedRateLimitingInterface[reconcile.Request] {
			return newQueue(name, limiter, namespaceOf)
		},
	}
}

// NewQueue returns a queue that serves namespaces in turn, for work that is not a controller's.
func NewQueue(name string) workqueue.TypedDelayingInterface[reconcile.Request] {
	return newQueue(name, nil, func(request reconcile.Request) string { return request.Namespace })
}

// queue is a queue of client-go whose order is that of turns, with the methods that
// controller-runtime gives priorities by, and with a backlog.
type queue struct {
	workqueue.TypedRateLimitingInterface[reconcile.Request]

	turns   *turns
	backlog *backlog
}

var _ priorityqueue.PriorityQueue[reconcile.Request] = queue{}

func newQueue(name string, limiter workqueue.TypedRateLimiter[reconcile.Request], namespaceOf func(reconcile.Request) string) queue {
	t := newTurns(namespaceOf)
	ready := workqueue.NewTypedWithConfig(workqueue.TypedQueueConfig[reconcile.Request]{Name: name, Queue: t})
	delaying := workqueue.NewTypedDelayingQueueWithConfig(workqueue.TypedDelayingQueueConfig[reconcile.Request]{Name: name, Queue: ready})
	return queue{workqueue.NewTypedRateLimitingQueueWithConfig(limiter, workqueue.TypedRateLimitingQueueConfig[reconcile.Request]{
		Name: name, DelayingQueue: delaying,
	}), t, &backlog{turns: newTurns(namespaceOf), admitted: map[reconcile.Request]struct{}{}}}
}

// soon is until when the priority is remembered of a request that is added for later.
const soon = time.Minute

// AddWithOpts implements priorityqueue.PriorityQueue.
func (q queue) AddWithOpts(o priorityqueue.AddOpts, requests ...reconcile.Request) {
	priority := 0
	if o.Priority != nil {
		priority = *o.Priority
	}
	for _, request := range requests {
		if priority < 0 && o.After == 0 && !o.RateLimited {
			q.backlog.add(request, priority, q.admit)
			continue
		}
		if o.After < soon {
			q.turns.note(request, priority)
		}
		switch {
		case o.RateLimited && o.After == 0:
			q.AddRateLimited(request)
		case o.After > 0:
			q.AddAfter(request, o.After)
		default:
			q.Add(request)
		}
	}
}

func (q queue) admit(request reconcile.Request, priority int) {
	q.turns.note(request, priority)
	q.Add(request)
}

// Len implements workqueue.TypedInterface.
func (q queue) Len() int { return q.TypedRateLimitingInterface.Len() + q.backlog.len() }

// Get implements workqueue.TypedInterface.
func (q queue) Get() (request reconcile.Request, shutdown bool) {
	request, shutdown = q.TypedRateLimitingInterface.Get()
	q.backlog.served(request, q.admit)
	return request, shutdown
}

// GetWithPriority implements priorityqueue.PriorityQueue.
func (q queue) GetWithPriority() (request reconcile.Request, priority int, shutdown bool) {
	request, shutdown = q.Get()
	return request, q.turns.priorityOf(request), shutdown
}
