// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package usagereport

import (
	"slices"
	"sync"
	"time"

	"k8s.io/utils/clock"

	"github.com/hallpass-dev/hallpass/internal/apiclock"
	"github.com/hallpass-dev/hallpass/internal/controller/fair"
	"github.com/hallpass-dev/hallpass/internal/usage"
)

const (
	// maxSubjects bounds the objects that are remembered, some 100 MB. Those that do not exist
	// any more, or that a report made up, are evicted for others.
	maxSubjects = 512 << 10
	// keepUses is how long a use is remembered: longer than a secret must have been unused, and
	// than the reports of token servers have it. The status of the object has it long before.
	keepUses = keepSilent
	// sweepEvery is how often objects that were not used for keepUses are forgotten.
	sweepEvery = time.Hour
)

// Ledger is the content of all reports together, and how much of it statuses have. The use of an
// object is reported at once after it was quiet, and then once in Refresh, so that its last use is
// reported in any case.
type Ledger struct {
	// Clock is the manager's: nothing that is reported is later.
	Clock clock.PassiveClock
	// Refresh is how often the status of an object that is in constant use is written.
	Refresh time.Duration

	// namespaceOf returns the namespace of an object, empty if there is none or it is not
	// known.
	namespaceOf func(usage.Key) string

	mu       sync.Mutex
	subjects map[usage.Key]*subject
	// most bounds them; it is maxSubjects.
	most int
	// absent are the subjects that are no objects of the cluster.
	absent  map[usage.Key]struct{}
	sweptAt time.Time
	// taken are the reports that were read, by their names, and the replicas on record.
	taken map[string]*taken
	// unrestored means that the replicas on record were not read yet.
	unrestored bool

	queue queue
	woken chan struct{}

	// Refusals are the refusals of the reports, which prove no use.
	Refusals *Refusals
}

// queue is when the statuses of objects are written, and slot the place of an object in it.
type (
	queue = fair.Schedule[usage.Key]
	slot  = fair.Slot[usage.Key]
)

type subject struct {
	slot // until merged may be published

	merged usage.Seen
	// told is what may stand in the status, since toldAt.
	told   usage.Seen
	toldAt time.Time
}

// NewLedger makes an empty Ledger.
func NewLedger(c clock.PassiveClock, refresh time.Duration) *Ledger {
	return &Ledger{
		Clock: c, Refresh: refresh, namespaceOf: ofNoNamespace, subjects: map[usage.Key]*subject{}, most: maxSubjects, absent: map[usage.Key]struct{}{},
		taken: map[string]*taken{}, woken: make(chan struct{}, 1), Refusals: newRefusals(c, refresh),
	}
}

// watchNamespaces has namespaces take turns, once objects can be found. It precedes the first
// report.
func (l *Ledger) watchNamespaces(namespaceOf func(usage.Key) string) {
	l.namespaceOf, l.Refusals.namespaceOf = namespaceOf, namespaceOf
}

// awaitRecord has nothing count as read until the replicas on record are.
func (l *Ledger) awaitRecord() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.unrestored = true
}

// Told is what the status of the object of that UID may have.
func (l *Ledger) Told(uid string) usage.Seen {
	l.mu.Lock()
	defer l.mu.Unlock()
	if s := l.subjects[usage.KeyOf(uid)]; s != nil {
		return s.told
	}
	return usage.Seen{}
}

// merge adds the content of a report. It reports how many objects of the cluster it had no room
// for. Others prove nothing: a secret is watched long after its client was found.
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
			if l.namespaceOf(e.Key) != "" {
				refused++
			}
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
	s := &subject{slot: slot{Item: key, Namespace: l.namespaceOf(key)}}
	l.subjects[key] = s
	if s.Namespace == "" {
		l.absent[key] = struct{}{}
	}
	return s
}

// evict makes room for an object. A report that names an object which is gone may bring it back.
func (l *Ledger) evict() bool {
	for key := range l.absent {
		if l.namespaceOf(key) != "" { // a report was faster than the watch
			delete(l.absent, key)
			continue
		}
		l.drop(key, l.subjects[key])
		return true
	}
	return false
}

func (l *Ledger) drop(key usage.Key, s *subject) {
	l.queue.Remove(&s.slot)
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

// enqueue has the status of an object written now, or once Refresh has passed since it was last;
// news do not wait.
func (l *Ledger) enqueue(s *subject, now time.Time) {
	due := now
	if next := s.toldAt.Add(l.Refresh); next.After(now) && !staleNews(s.told, s.merged) {
		due = next
	}
	l.queue.Add(&s.slot, due)
}

// staleNews reports whether there is a stale use that was not reported within an hour before it.
func staleNews(told, merged usage.Seen) bool {
	return slices.ContainsFunc(merged.Stale, func(s usage.Stale) bool {
		return !slices.ContainsFunc(told.Stale, func(t usage.Stale) bool { return t.Use == s.Use && s.At.Time().Sub(t.At.Time()) < quiet })
	})
}

// next takes an object that is due out of the queue; without one it returns how long there is none.
func (l *Ledger) next() (key usage.Key, seen usage.Seen, wait time.Duration, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	due, wait := l.queue.Next(l.Clock.Now(), l.Refresh)
	if due == nil {
		return key, seen, wait, false
	}
	return due.Item, copyOf(l.subjects[due.Item].merged), wait, true
}

// tell updates the status of an object with what was seen.
func (l *Ledger) tell(key usage.Key, seen usage.Seen) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if s := l.subjects[key]; s != nil {
		s.told, s.toldAt = seen, l.Clock.Now()
	}
}

// copyOf is a copy that is not changed any more.
func copyOf(s usage.Seen) usage.Seen {
	s.Credentials, s.Stale = slices.Clone(s.Credentials), slices.Clone(s.Stale)
	return s
}
