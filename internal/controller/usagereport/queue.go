// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package usagereport

import (
	"container/heap"
	"slices"
	"time"

	"github.com/hallpass-dev/hallpass/internal/usage"
)

// slot is the place of an object in a queue. It is in the queue if line is set.
type slot struct {
	key usage.Key
	// namespace is that of the object; empty if it is not known.
	namespace string
	due       time.Time
	line      *line
	index     int
}

// queue is what is due, and when. Namespaces take turns: however many objects of one are due, an
// object of another one is next but for the number of namespaces.
type queue struct {
	// lines are the namespaces with slots, in the order of their turns.
	lines       []*line
	byNamespace map[string]*line
}

// line is a heap of the slots of a namespace, the first one due at its top.
type line struct {
	namespace string
	slots     []*slot
}

// schedule puts a slot into the queue, or moves it forward.
func (q *queue) schedule(s *slot, due time.Time) {
	switch {
	case s.line == nil:
		s.due = due
		heap.Push(q.lineOf(s.namespace), s)
	case due.Before(s.due):
		s.due = due
		heap.Fix(s.line, s.index)
	}
}

func (q *queue) lineOf(namespace string) *line {
	l := q.byNamespace[namespace]
	if l == nil {
		l = &line{namespace: namespace}
		if q.byNamespace == nil {
			q.byNamespace = map[string]*line{}
		}
		q.byNamespace[namespace] = l
		q.lines = append(q.lines, l)
	}
	return l
}

func (q *queue) cancel(s *slot) {
	l := s.line
	if l == nil {
		return
	}
	heap.Remove(l, s.index)
	if l.Len() == 0 {
		q.end(slices.Index(q.lines, l))
	}
}

// end removes a line without slots.
func (q *queue) end(index int) {
	delete(q.byNamespace, q.lines[index].namespace)
	q.lines = slices.Delete(q.lines, index, index+1)
}

// next takes out the slot that is due in the namespace whose turn it is, which is then the last
// one. Without one it returns how long to wait, which is idle if the queue is empty.
func (q *queue) next(now time.Time, idle time.Duration) (key usage.Key, wait time.Duration, ok bool) {
	wait = idle
	for i, l := range q.lines {
		left := l.slots[0].due.Sub(now)
		if left > 0 {
			if i == 0 || left < wait {
				wait = left
			}
			continue
		}
		s, _ := heap.Pop(l).(*slot)
		if l.Len() == 0 {
			q.end(i)
		} else {
			q.lines = append(slices.Delete(q.lines, i, i+1), l)
		}
		return s.key, 0, true
	}
	return key, wait, false
}

// Len implements heap.Interface.
func (l *line) Len() int           { return len(l.slots) }
func (l *line) Less(i, j int) bool { return l.slots[i].due.Before(l.slots[j].due) }

func (l *line) Swap(i, j int) {
	l.slots[i], l.slots[j] = l.slots[j], l.slots[i]
	l.slots[i].index, l.slots[j].index = i, j
}

// Push implements heap.Interface.
func (l *line) Push(x any) {
	if s, ok := x.(*slot); ok {
		s.line, s.index = l, len(l.slots)
		l.slots = append(l.slots, s)
	}
}

// Pop implements heap.Interface.
func (l *line) Pop() any {
	last := len(l.slots) - 1
	s := l.slots[last]
	l.slots[last] = nil
	l.slots, s.line = l.slots[:last], nil
	return s
}
