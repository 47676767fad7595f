// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package fair

import (
	"container/heap"
	"slices"
	"time"
)

// Slot is the place of an item in a Schedule.
type Slot[T any] struct {
	Item T
	// Namespace is the namespace in whose turn the item is served. It does not change while
	// the slot waits.
	Namespace string

	due   time.Time
	share *share[T]
	index int
}

// Waits reports whether the slot is in a schedule.
func (s *Slot[T]) Waits() bool { return s.share != nil }

// Due is when the slot is served, or was served last.
func (s *Slot[T]) Due() time.Time { return s.due }

// Schedule is a queue of items that are due at different times. Namespaces take turns: however many
// items of one namespace are due, an item of another one is next but for the number of namespaces.
// The zero Schedule is empty. It is not safe for concurrent use.
type Schedule[T any] struct {
	// shares are the namespaces with slots, in the order of their turns.
	shares      []*share[T]
	byNamespace map[string]*share[T]
	slots       int
}

// share is a heap of the slots of a namespace, the first one due at its top.
type share[T any] struct {
	namespace string
	slots     []*Slot[T]
}

// Add adds a slot, or moves it forward.
func (q *Schedule[T]) Add(s *Slot[T], due time.Time) {
	switch {
	case s.share == nil:
		s.due = due
		heap.Push(q.shareOf(s.Namespace), s)
		q.slots++
	case due.Before(s.due):
		s.due = due
		heap.Fix(s.share, s.index)
	}
}

func (q *Schedule[T]) shareOf(namespace string) *share[T] {
	of := q.byNamespace[namespace]
	if of == nil {
		of = &share[T]{namespace: namespace}
		if q.byNamespace == nil {
			q.byNamespace = map[string]*share[T]{}
		}
		q.byNamespace[namespace] = of
		q.shares = append(q.shares, of)
	}
	return of
}

// Remove removes a slot; it is a no-op if the slot does not wait.
func (q *Schedule[T]) Remove(s *Slot[T]) {
	of := s.share
	if of == nil {
		return
	}
	heap.Remove(of, s.index)
	q.slots--
	if of.Len() == 0 {
		q.end(slices.Index(q.shares, of))
	}
}

// end removes a namespace without slots.
func (q *Schedule[T]) end(index int) {
	delete(q.byNamespace, q.shares[index].namespace)
	q.shares = slices.Delete(q.shares, index, index+1)
}

// Next removes and returns the slot that is due in the namespace whose turn it is, which is then
// the last one. Without one it returns nil, and how long to wait, which is idle if the schedule is
// empty.
func (q *Schedule[T]) Next(now time.Time, idle time.Duration) (next *Slot[T], wait time.Duration) {
	wait = idle
	for i, of := range q.shares {
		left := of.slots[0].due.Sub(now)
		if left > 0 {
			if i == 0 || left < wait {
				wait = left
			}
			continue
		}
		s, _ := heap.Pop(of).(*Slot[T])
		q.slots--
		if of.Len() == 0 {
			q.end(i)
		} else {
			q.shares = append(slices.Delete(q.shares, i, i+1), of)
		}
		return s, 0
	}
	return nil, wait
}

// Len is how many slots wait.
func (q *Schedule[T]) Len() int { return q.slots }

// LenOf is how many slots of a namespace wait.
func (q *Schedule[T]) LenOf(namespace string) int {
	if of := q.byNamespace[namespace]; of != nil {
		return of.Len()
	}
	return 0
}

// Excess returns a slot of the namespace that has the most, or nil if none waits. That slot is
// never the next one of a namespace with more than one.
func (q *Schedule[T]) Excess() *Slot[T] {
	if len(q.shares) == 0 {
		return nil
	}
	most := slices.MaxFunc(q.shares, func(a, b *share[T]) int { return a.Len() - b.Len() })
	return most.slots[most.Len()-1]
}

// Len implements heap.Interface.
func (s *share[T]) Len() int           { return len(s.slots) }
func (s *share[T]) Less(i, j int) bool { return s.slots[i].due.Before(s.slots[j].due) }

func (s *share[T]) Swap(i, j int) {
	s.slots[i], s.slots[j] = s.slots[j], s.slots[i]
	s.slots[i].index, s.slots[j].index = i, j
}

// Push implements heap.Interface.
func (s *share[T]) Push(x any) {
	if slot, ok := x.(*Slot[T]); ok {
		slot.share, slot.index = s, len(s.slots)
		s.slots = append(s.slots, slot)
	}
}

// Pop implements heap.Interface.
func (s *share[T]) Pop() any {
	last := len(s.slots) - 1
	slot := s.slots[last]
	s.slots[last] = nil
	s.slots, slot.share = s.slots[:last], nil
	return slot
}
