// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package auth

import (
	"context"
	"errors"
	"sync"
	"time"
)

// flight shares look-ups, and their answers, between the requests that need the same. The zero
// flight is ready to use.
type flight[T any] struct {
	mu    sync.Mutex
	calls map[string]*call[T] // those under way
}

// call is one look-up.
type call[T any] struct {
	done   chan struct{} // closed when there is an answer
	answer T
	err    error
	// next is for those that came after this one began; nil if there are none.
	next *call[T]
}

func newCall[T any]() *call[T] { return &call[T]{done: make(chan struct{})} }

var errUnanswered = errors.New("the look-up has no answer")

// ask asks within a time limit, or shares the look-up that is under way: for what was not written
// a moment ago. A caller that hangs up does not end the look-up.
func (f *flight[T]) ask(ctx context.Context, key string, limit time.Duration, lookUp func(context.Context) (T, error)) (T, error) {
	f.mu.Lock()
	running := f.calls[key]
	if running == nil {
		running = f.begin(key)
		f.mu.Unlock()
		f.run(ctx, key, running, limit, lookUp)
		return running.answer, running.err
	}
	f.mu.Unlock()
	<-running.done
	return running.answer, running.err
}

// current is ask for what may have been written since the look-up under way began: callers that
// come meanwhile share the next one. Otherwise a client that has just become Ready would be refused
// because of a guess of its client_id at the same time.
func (f *flight[T]) current(ctx context.Context, key string, limit time.Duration, lookUp func(context.Context) (T, error)) (T, error) {
	f.mu.Lock()
	running := f.calls[key]
	if running == nil {
		f.mu.Unlock()
		return f.ask(ctx, key, limit, lookUp)
	}
	next, first := running.next, running.next == nil
	if first {
		next = newCall[T]()
		running.next = next
	}
	f.mu.Unlock()
	if first {
		<-running.done
		f.run(ctx, key, next, limit, lookUp)
	}
	<-next.done
	return next.answer, next.err
}

// begin makes a call the one that is under way. The lock is held.
func (f *flight[T]) begin(key string) *call[T] {
	if f.calls == nil {
		f.calls = map[string]*call[T]{}
	}
	f.calls[key] = newCall[T]()
	return f.calls[key]
}

// run asks, and hands over to the next call.
func (f *flight[T]) run(ctx context.Context, key string, c *call[T], limit time.Duration, lookUp func(context.Context) (T, error)) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), limit)
	defer cancel()
	c.err = errUnanswered // if lookUp panics
	defer func() {
		f.mu.Lock()
		if c.next == nil {
			delete(f.calls, key)
		} else {
			f.calls[key] = c.next
		}
		f.mu.Unlock()
		close(c.done)
	}()
	c.answer, c.err = lookUp(ctx)
}
