// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package directory

import (
	"context"
	"fmt"
	"math"
	"strconv"
	"sync"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"
)

// source is one watch on its way into a store: what is watched, whether it was read in full, and when it was last heard of.
//
// A watch that is quiet is not stale: the API server sends a bookmark about once a minute, which says that nothing else
// happened. Where the connection hangs, or the API server is away or answers with errors, nothing at all comes. So what was heard
// is an event, a bookmark or a whole list, and never that a connection is open.
type source struct {
	client              rest.Interface
	resource, namespace string
	kind                runtime.Object
	store               cache.TransformingStore
	// beforeList is called with a list before the store takes it, and afterList when it has.
	beforeList func(s *source, objects []any, version string)
	afterList  func(s *source)
	// setBack is called when it turns out that the API server has gone back in time; it reports whether that is acted upon at once.
	setBack func(notice) bool
	// changed is called after each change of the store, heardOf whenever something was heard.
	changed func()
	heardOf func()
	now     func() time.Time
	// listing keeps lists of all sources and the adoption of a snapshot apart.
	listing *sync.Mutex

	mu     sync.Mutex
	synced bool
	heard  time.Time
	mark   uint64
	newest newest
	// distrusted says that nothing counts any more until the next list, and anew ends the reflector so that another one lists.
	distrusted bool
	anew       context.CancelFunc
}

// Transformer implements cache.TransformingStore.
func (s *source) Transformer() cache.TransformFunc { return s.store.Transformer() }

// Add implements cache.ReflectorStore.
func (s *source) Add(object any) error { return s.apply(object, s.admit(s.store.Add)) }

// Update implements cache.ReflectorStore.
func (s *source) Update(object any) error { return s.apply(object, s.admit(s.store.Update)) }

// Delete implements cache.ReflectorStore.
func (s *source) Delete(object any) error { return s.apply(object, s.store.Delete) }

func (s *source) apply(object any, change func(any) error) error {
	if s.isDistrusted() { // an event is news of what is not known
		return nil
	}
	if err := change(object); err != nil {
		return err
	}
	if named, ok := object.(metav1.Object); ok {
		s.hear(named.GetResourceVersion())
		s.mu.Lock()
		s.newest.learn(named)
		s.mu.Unlock()
	}
	s.changed()
	return nil
}

// Replace implements cache.ReflectorStore.
func (s *source) Replace(objects []any, version string) error {
	s.listing.Lock()
	defer s.listing.Unlock()
	s.beforeList(s, objects, version)
	last := newest{}
	for _, object := range objects {
		if named, ok := object.(metav1.Object); ok {
			last.learn(named)
		}
	}
	if err := s.store.Replace(objects, version); err != nil {
		return fmt.Errorf("take the list of %s: %w", s.resource, err)
	}
	s.afterList(s)
	s.mu.Lock()
	s.synced, s.mark, s.newest, s.distrusted = true, 0, last, false
	s.mu.Unlock()
	s.hear(version)
	s.changed()
	return nil
}

// Bookmark implements cache.ReflectorBookmarkStore: the API server says how far it is, and that nothing else has changed.
func (s *source) Bookmark(version string) error {
	if s.isDistrusted() { // it is of what is not known
		return nil
	}
	s.hear(version)
	return nil
}

// Resync implements cache.ReflectorStore.
func (s *source) Resync() error { return nil }

func (s *source) hear(version string) {
	s.mu.Lock()
	s.heard = s.now()
	if mark, err := strconv.ParseUint(version, 10, 64); err == nil {
		s.mark = max(s.mark, mark)
	}
	s.mu.Unlock()
	s.heardOf()
}

// state is whether the source was read in full from the API server, when it was last heard of, and how far it had come then.
func (s *source) state() (synced bool, heard time.Time, mark uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.synced, s.heard, s.mark
}

// resume takes over how far a snapshot had come, unless the source was read since.
func (s *source) resume(heard time.Time, mark uint64) {
	s.mu.Lock()
	if !s.synced {
		s.heard, s.mark = heard, mark
	}
	s.mu.Unlock()
	s.heardOf()
}

// Heard is the instant up to which memory is known to be what the API server has, for the source that is furthest behind. It is
// zero while something was never read.
func (d *Directory) Heard() time.Time {
	if heard := d.heard.Load(); heard != nil {
		return *heard
	}
	return time.Time{}
}

// noteHeard finds out what Heard says: each request asks for it, and it changes with each event.
func (d *Directory) noteHeard() {
	d.hearing.Lock()
	defer d.hearing.Unlock()
	var earliest time.Time
	for i, s := range d.sources {
		_, heard, _ := s.state()
		if i == 0 || heard.Before(earliest) {
			earliest = heard // zero, if it was never heard of
		}
	}
	d.heard.Store(&earliest)
}

// Silence is how long ago the API server was last heard of; the longest there is if it never was.
func (d *Directory) Silence() time.Duration {
	heard := d.Heard()
	if heard.IsZero() {
		return math.MaxInt64
	}
	return elapsed(heard, d.now())
}

// elapsed is the time between two readings of the clock: by the monotonic clock, which nobody sets, or by the wall clock, which goes
// on while a machine is suspended, whichever says more.
func elapsed(from, to time.Time) time.Duration {
	return max(to.Sub(from), to.Round(0).Sub(from.Round(0)), 0)
}

// Stale reports whether memory is so old that nothing may be decided by it, because it honours what was revoked since. Before everything
// was read once it is: who is registered may be known by then, and who was revoked not yet.
func (d *Directory) Stale() bool {
	return d.Heard().IsZero() || d.maxStaleness > 0 && d.Silence() > d.maxStaleness
}
