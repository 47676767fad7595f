// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package watch

import (
	"context"
	"fmt"
	"strconv"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/tools/cache"

	"github.com/hallpass-dev/hallpass/internal/restore"
)

// A watch from a revision that a restored store has not reached yet is silent until the store
// reaches it, and what happens meanwhile is never sent. So no event counts before the store has
// returned its revision after the watch was opened. A restore restarts the API servers, which ends
// older watches.

// confirmTimeout bounds the request for the revision of the store.
const confirmTimeout = 5 * time.Second

// Run watches until the context ends. After the proof of a restore a new reflector begins with a
// list.
func (s *Source[K, T]) Run(ctx context.Context) {
	for ctx.Err() == nil {
		life, end := context.WithCancel(ctx)
		s.progress.mu.Lock()
		s.progress.relist = end
		s.progress.mu.Unlock()
		s.reflector().RunWithContext(life)
		end()
	}
}

// reflector fills the store from the API server.
func (s *Source[K, T]) reflector() *cache.Reflector {
	from := s.listWatch()
	return cache.NewReflectorWithOptions(&cache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, options metav1.ListOptions) (runtime.Object, error) {
			// anything that the API server remembers, however old
			if options.ResourceVersion == "0" {
				options.ResourceVersion = ""
			}
			return from.ListWithContext(ctx, options)
		},
		WatchFuncWithContext: func(ctx context.Context, options metav1.ListOptions) (watch.Interface, error) {
			w, err := from.WatchWithContext(ctx, options)
			// this one begins with a list
			if err != nil || options.ResourceVersion == "" {
				return w, err //nolint:wrapcheck // a reflector distinguishes errors of the API server
			}
			if err := s.confirm(ctx); err != nil {
				w.Stop()
				return nil, err
			}
			return w, nil
		},
	}, s.kind.Object, s, cache.ReflectorOptions{Name: s.kind.Resource})
}

func (s *Source[K, T]) listWatch() *cache.ListWatch {
	return cache.NewListWatchFromClient(s.kind.Client, s.kind.Resource, s.kind.Namespace, fields.Everything())
}

// Confirm checks that the API server is not behind what was read before. It takes up to a tenth of
// a second where lists come from a cache, which first catches up with writes of other kinds.
func (s *Source[K, T]) Confirm(ctx context.Context) error {
	if err := s.watches.Trusted(); err != nil {
		return err
	}
	if err := s.confirm(ctx); err != nil {
		return fmt.Errorf("ask how far the API server is: %w", err)
	}
	return nil
}

// confirm reads the revision of the store, by a list of one that no cache may answer from older
// data. If the store was restored, the error is that of a revision which is too old.
func (s *Source[K, T]) confirm(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, confirmTimeout)
	defer cancel()
	_, heard, known := s.progress.state() // before the answer, which may be overtaken by events
	list, err := s.listWatch().ListWithContext(ctx, metav1.ListOptions{Limit: 1})
	if err != nil {
		return err //nolint:wrapcheck // a reflector distinguishes errors of the API server
	}
	listed, err := meta.ListAccessor(list)
	if err != nil {
		return fmt.Errorf("read how far the API server is: %w", err)
	}
	seen, _ := strconv.ParseUint(listed.GetResourceVersion(), 10, 64) // 0 proves nothing
	proof := restore.Prove(restore.Facts{Revision: known}, restore.Facts{Revision: seen}, Elapsed(heard, s.watches.config.Now()))
	if proof != restore.None {
		s.watches.relist(notice{by: s.progress, proof: proof, known: known, seen: seen})
	}
	if proof != restore.None || s.progress.isUntrusted() {
		return apierrors.NewResourceExpired(ErrRestored.Error()) //nolint:wrapcheck // it is made here
	}
	return nil
}

// Newer returns a function that reports whether a version was written after all that is known now.
// A store that has such an object is neither behind nor raised.
func (s *Source[K, T]) Newer() func(version uint64) bool {
	_, heard, known := s.progress.state()
	return func(version uint64) bool {
		return known > 0 && version > known &&
			restore.Prove(restore.Facts{Revision: known}, restore.Facts{Revision: version}, Elapsed(heard, s.watches.config.Now())) == restore.None
	}
}
