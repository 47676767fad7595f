// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package usagereport

import (
	"context"
	"fmt"
	"sync"

	"k8s.io/apimachinery/pkg/types"
	toolscache "k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hallpass-dev/hallpass/internal/usage"
)

// subjects finds the objects of a kind by the keys that reports have. It takes 100 bytes an object,
// an index of the cache several times that.
type subjects struct {
	mu    sync.Mutex
	names map[usage.Key]types.NamespacedName
	// synced reports whether all objects that there are have been added.
	synced toolscache.InformerSynced
}

// watch follows the objects of a kind in a cache.
func (s *subjects) watch(from cache.Informers, like client.Object) error {
	s.names = map[usage.Key]types.NamespacedName{}
	informer, err := from.GetInformer(context.Background(), like)
	if err != nil {
		return fmt.Errorf("watch %T for usage reports: %w", like, err)
	}
	watching, err := informer.AddEventHandler(toolscache.ResourceEventHandlerFuncs{AddFunc: s.add, UpdateFunc: s.replace, DeleteFunc: s.remove})
	if err != nil {
		return fmt.Errorf("watch %T for usage reports: %w", like, err)
	}
	s.synced = watching.HasSynced
	return nil
}

// await waits until all objects that there are have been added. It returns false if the context
// ends first.
func (s *subjects) await(ctx context.Context) bool {
	return s.synced == nil || toolscache.WaitForCacheSync(ctx.Done(), s.synced)
}

func (s *subjects) add(added any) {
	if o, ok := added.(client.Object); ok {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.names[usage.KeyOf(string(o.GetUID()))] = client.ObjectKeyFromObject(o)
	}
}

// replace is for an object that was deleted and created again while the watch was interrupted.
func (s *subjects) replace(before, after any) {
	former, ok := before.(client.Object)
	latter, same := after.(client.Object)
	if ok && same && former.GetUID() != latter.GetUID() {
		s.remove(before)
		s.add(after)
	}
}

func (s *subjects) remove(removed any) {
	if last, unknown := removed.(toolscache.DeletedFinalStateUnknown); unknown {
		removed = last.Obj
	}
	if o, ok := removed.(client.Object); ok {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.names, usage.KeyOf(string(o.GetUID())))
	}
}

func (s *subjects) find(key usage.Key) (types.NamespacedName, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	name, there := s.names[key]
	return name, there
}
