// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package usagereport

import (
	"container/heap"
	"slices"
	"sync"
	"time"

	"k8s.io/utils/clock"

	"github.com/hallpass-dev/hallpass/internal/apiclock"
	"github.com/hallpass-dev/hallpass/internal/usage"
)

const (
	// maxSubjects bounds the objects that are remembered, some 100 MB. Those that do not exist any more, or
	// that a report made up, make way for others.
	maxSubjects = 512 << 10
	// keepUses is how long a use is remembered: longer than a secret must have been unused, and than the
	// reports of token servers have it. The status of the object has it long before.
	keepUses = keepSilent
	// sweepEvery is how often objects that were not used for keepUses are forgotten.
	sweepEvery = time.Hour
)

// Ledger is what all reports together say, and how much of it statuses say. The use of an object is told
// at once after it was quiet, and then once in Refresh, so that its last use is told in any case.
type Ledger struct {
	// Clock is the manager's: nothing that is reported is later.
	Clock clock.PassiveClock
	// Refresh is how often the status of an object that is in constant use is written.
	Refresh time.Duration

	mu       sync.Mutex
	subjects map[usage.Key]*subject
	// most bounds them; it is maxSubjects.
	most int
	// absent are the subjects that are no objects of the cluster.
	absent  map[usage.Key]struct{}
	sweptAt time.Time
	// taken are the reports that were read, by their names.
	taken map[string]*taken
	queue queue
	woken chan struct{}
}

type subject struct {
	key    usage.Key
	merged usage.Seen
	// told is what may stand in the status, since toldAt.
	told   usage.Seen
	toldAt time.Time
	// due is when merged may be told; it is in the queue until then if index is not negative.
	due   time.Time
	index int
}

// NewLedger makes an empty Ledger.
func NewLedger(c clock.PassiveClock, refresh time.Duration) *Ledger {
	return &Ledger{
		Clock: c, Refresh: refresh, subjects: map[usage.Key]*subject{}, most: maxSubjects, absent: map[usage.Key]struct{}{},
		taken: map[string]*taken{}, woken: make(chan struct{}, 1),
	}
}

// Told is what the status of the object of that UID may say.
func (l *Ledger) Told(uid string) usage.Seen {
	l.mu.Lock()
	defer l.mu.Unlock()
	if s := l.subjects[usage.KeyOf(uid)]; s != nil {
		return s.told
	}
	return usage.Seen{}
}

// merge takes in what a report says. It reports how many objects it had no room for.
func (l *Ledger) merge(entries []usage.Entry) (refused int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.Clock.Now()
	var oldest usage.Minute // nothing is forgotten while clocks differ
	if past := apiclock.TimeOf(l.Clock).Past(); !past.IsZero() {
		oldest = usage.MinuteOf(past.Add(-keepUses))
	}
	l.sweep(now, oldest)
	for _, e := range entries {
		s := l.subjects[e.Key]
		if s == nil && e.Seen.Latest() < oldest {
			continue
		}
		if s == nil {
			s = l.add(e.Key)
		}
		if s == nil {
			refused++
			continue
		}
		if s.merged.Merge(e.Seen, usage.MinuteOf(now)) {
			l.enqueue(s, now)
		}
	}
	select {
	case l.woken <- struct{}{}:
	default:
	}
	return refused
}

// sweep forgets the objects that were last used before a minute.
func (l *Ledger) sweep(now time.Time, oldest usage.Minute) {
	if now.Sub(l.sweptAt) < sweepEvery {
		return
	}
	l.sweptAt = now
	for key, s := range l.subjects {
		if s.merged.Latest() < oldest {
			l.drop(key, s)
		}
	}
}

// add remembers an object; it returns nil if there is no room.
func (l *Ledger) add(key usage.Key) *subject {
	if len(l.subjects) >= l.most && !l.evict() {
		return nil
	}
	s := &subject{key: key, index: -1}
	l.subjects[key] = s
	return s
}

// evict makes room for an object. A report that names an object which is gone may bring it back.
func (l *Ledger) evict() bool {
	for key := range l.absent {
		l.drop(key, l.subjects[key])
		return true
	}
	return false
}

func (l *Ledger) drop(key usage.Key, s *subject) {
	if s.index >= 0 {
		heap.Remove(&l.queue, s.index)
	}
	delete(l.subjects, key)
	delete(l.absent, key)
}

// Absent notes that the object of a UID was deleted.
func (l *Ledger) Absent(uid string) { l.exists(usage.KeyOf(uid), false) }

// exists notes whether a subject is an object of the cluster.
func (l *Ledger) exists(key usage.Key, there bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, known := l.subjects[key]; known && !there {
		l.absent[key] = struct{}{}
	} else {
		delete(l.absent, key)
	}
}

// enqueue has an object told now, or once Refresh has passed since it was last; news do not wait.
func (l *Ledger) enqueue(s *subject, now time.Time) {
	due := now
	if next := s.toldAt.Add(l.Refresh); next.After(now) && !staleNews(s.told, s.merged) {
		due = next
	}
	switch {
	case s.index < 0:
		s.due = due
		heap.Push(&l.queue, s)
	case due.Before(s.due):
		s.due = due
		heap.Fix(&l.queue, s.index)
	}
}

// staleNews reports whether there is a stale use that nobody was told of within an hour before it.
func staleNews(told, merged usage.Seen) bool {
	return slices.ContainsFunc(merged.Stale, func(s usage.Stale) bool {
		return !slices.ContainsFunc(told.Stale, func(t usage.Stale) bool { return t.Use == s.Use && s.At.Time().Sub(t.At.Time()) < quiet })
	})
}

// next takes the object that is due first out of the queue; without one it says how long there is none.
func (l *Ledger) next() (key usage.Key, seen usage.Seen, wait time.Duration, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.queue) == 0 {
		return key, seen, l.Refresh, false
	}
	if wait = l.queue[0].due.Sub(l.Clock.Now()); wait > 0 {
		return key, seen, wait, false
	}
	s, _ := heap.Pop(&l.queue).(*subject)
	return s.key, copyOf(s.merged), 0, true
}

// tell lets the status of an object say what was seen.
func (l *Ledger) tell(key usage.Key, seen usage.Seen) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if s := l.subjects[key]; s != nil {
		s.told, s.toldAt = seen, l.Clock.Now()
	}
}

// copyOf is what nobody changes any more.
func copyOf(s usage.Seen) usage.Seen {
	s.Credentials, s.Stale = slices.Clone(s.Credentials), slices.Clone(s.Stale)
	return s
}

// queue is a heap of objects, the first one due at its top.
type queue []*subject

func (q queue) Len() int           { return len(q) }
func (q queue) Less(i, j int) bool { return q[i].due.Before(q[j].due) }

func (q queue) Swap(i, j int) {
	q[i], q[j] = q[j], q[i]
	q[i].index, q[j].index = i, j
}

// Push implements heap.Interface.
func (q *queue) Push(x any) {
	if s, ok := x.(*subject); ok {
		s.index = len(*q)
		*q = append(*q, s)
	}
}

// Pop implements heap.Interface.
func (q *queue) Pop() any {
	last := len(*q) - 1
	s := (*q)[last]
	*q, s.index = (*q)[:last], -1
	return s
}
