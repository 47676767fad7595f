// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package watch

import (
	"fmt"
	"iter"
	"strconv"
	"time"

	"k8s.io/client-go/tools/cache"

	"github.com/hallpass-dev/hallpass/internal/restore"
)

// Source is the watch of one kind, and passes what it brings to a store.
type Source[K Object, T any] struct {
	kind     Kind[K, T]
	watches  *Watches
	progress *progress
	// saved is the list of a snapshot until it is loaded, or a list of the API server is
	// stored.
	saved *saved[T]
}

// saved is what a snapshot has of a source.
type saved[T any] struct {
	list  iter.Seq[T]
	heard time.Time
	mark  uint64
}

// Add returns the source of a kind, which belongs to these watches.
func Add[K Object, T any](w *Watches, kind Kind[K, T]) *Source[K, T] {
	s := &Source[K, T]{kind: kind, watches: w, progress: &progress{resource: kind.Resource}}
	w.sources = append(w.sources, s.progress)
	return s
}

// Transformer implements cache.TransformingStore.
func (s *Source[K, T]) Transformer() cache.TransformFunc {
	return func(object any) (any, error) {
		if object, ok := object.(K); ok {
			return s.kind.strip(object), nil
		}
		return object, nil
	}
}

func (s *Source[K, T]) strip(object any) (*stripped[T], error) {
	switch object := object.(type) {
	case *stripped[T]:
		return object, nil
	case K:
		return s.kind.strip(object), nil
	}
	return nil, fmt.Errorf("%T is not of the %s", object, s.kind.Resource)
}

// Add implements cache.ReflectorStore.
func (s *Source[K, T]) Add(object any) error {
	return s.change(object, func(value T) {
		s.admit(value)
		if s.kind.Added != nil {
			s.kind.Added(value)
		}
	})
}

// Update implements cache.ReflectorStore.
func (s *Source[K, T]) Update(object any) error { return s.change(object, s.admit) }

// Delete implements cache.ReflectorStore.
func (s *Source[K, T]) Delete(object any) error { return s.change(object, s.kind.Store.Remove) }

// change makes one change of the store. Events of an untrusted source are dropped: their base is
// lost.
func (s *Source[K, T]) change(object any, change func(T)) error {
	if s.progress.isUntrusted() {
		return nil
	}
	read, err := s.strip(object)
	if err != nil {
		return err
	}
	change(read.value)
	s.hear(read.ResourceVersion)
	s.progress.mu.Lock()
	s.progress.newest.learn(read)
	s.progress.mu.Unlock()
	s.watches.config.Changed()
	return nil
}

// admit stores an object unless it proves a restore, after which everything is listed again. While
// the notice of that waits, the store refuses the object.
func (s *Source[K, T]) admit(value T) {
	if s.kind.Store.Resurrected(value) && s.Report(restore.Resurrected) {
		return
	}
	s.kind.Store.Apply(value)
}

// Report reports a proof of a restore, upon which all sources list again. It returns false if that
// has to wait.
func (s *Source[K, T]) Report(proof restore.Proof) bool {
	return s.watches.relist(notice{by: s.progress, proof: proof})
}

// Replace implements cache.ReflectorStore.
func (s *Source[K, T]) Replace(objects []any, version string) error {
	s.watches.listing.Lock()
	defer s.watches.listing.Unlock()
	last, err := s.stripAll(objects)
	if err != nil {
		return fmt.Errorf("store the list of %s: %w", s.kind.Resource, err)
	}
	at := restore.List{}
	at.Version, _ = strconv.ParseUint(version, 10, 64) // one that is no number proves nothing
	if lost, restored := s.restored(objects, at.Version); restored {
		s.loadSaved()
		at.Lost = lost
	}
	at.Restores, at.Waiting = s.watches.Restored(), s.watches.isWaiting()
	s.kind.Store.Replace(values[T](objects), at)
	s.saved = nil
	s.progress.listed(last)
	s.hear(version)
	s.watches.config.Changed()
	FreeMemory()
	return nil
}

// stripAll strips objects in place. It returns the one that changed last.
func (s *Source[K, T]) stripAll(objects []any) (last newest, err error) {
	for i, object := range objects {
		read, err := s.strip(object)
		if err != nil {
			return newest{}, err
		}
		last.learn(read)
		objects[i] = read
	}
	return last, nil
}

// values are the values of stripped objects.
func values[T any](objects []any) iter.Seq[T] {
	return func(yield func(T) bool) {
		for _, object := range objects {
			if read, ok := object.(*stripped[T]); ok && !yield(read.value) {
				return
			}
		}
	}
}

// restored reports whether the store was restored before this list, and until when the source was
// up to date.
func (s *Source[K, T]) restored(objects []any, listed uint64) (known time.Time, restored bool) {
	synced, heard, mark := s.progress.state()
	if s.saved != nil && !synced && mark == 0 {
		heard, mark = s.saved.heard, s.saved.mark
	}
	if heard.IsZero() {
		return heard, false // nothing was known before
	}
	if s.progress.isUntrusted() {
		return heard, true
	}
	proof := s.prove(objects, mark, listed, Elapsed(heard, s.watches.config.Now()))
	if proof == restore.None {
		return heard, false
	}
	acted := s.watches.notice(notice{by: s.progress, proof: proof, known: mark, seen: listed})
	// the store refuses such objects until the notice is acted upon
	return heard, acted || proof != restore.Resurrected
}

// prove returns what a list proves.
func (s *Source[K, T]) prove(objects []any, mark, listed uint64, after time.Duration) restore.Proof {
	s.progress.mu.Lock()
	newest := s.progress.newest
	s.progress.mu.Unlock()
	known := restore.Facts{Revision: mark, Newest: newest.version}
	seen := restore.Facts{Revision: listed, Newest: newest.versionIn(objects)}
	if proof := restore.Prove(known, seen, after); proof != restore.None {
		return proof
	}
	for value := range values[T](objects) {
		if s.kind.Store.Resurrected(value) {
			return restore.Resurrected
		}
	}
	return restore.None
}

// Bookmark implements cache.ReflectorBookmarkStore.
func (s *Source[K, T]) Bookmark(version string) error {
	if !s.progress.isUntrusted() {
		s.hear(version)
	}
	return nil
}

// Resync implements cache.ReflectorStore.
func (s *Source[K, T]) Resync() error { return nil }

func (s *Source[K, T]) hear(version string) {
	s.progress.hear(version, s.watches.config.Now())
	s.watches.hear()
}

// Save gives the source the list of a snapshot, which was up to date until an instant and a
// version. Load stores it, or the first list of the API server if that proves a restore.
func (s *Source[K, T]) Save(list iter.Seq[T], heard time.Time, mark uint64) {
	s.watches.listing.Lock()
	defer s.watches.listing.Unlock()
	s.saved = &saved[T]{list, heard, mark}
}

// Load stores the list of a snapshot unless the API server was listed since.
func (s *Source[K, T]) Load() {
	s.watches.listing.Lock()
	defer s.watches.listing.Unlock()
	s.loadSaved()
	s.saved = nil
}

func (s *Source[K, T]) loadSaved() {
	if s.saved == nil || s.progress.isSynced() {
		return
	}
	s.kind.Store.Replace(s.saved.list, restore.List{Version: s.saved.mark, Saved: true})
	s.progress.resume(s.saved.heard, s.saved.mark)
	s.watches.hear()
}
