// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/priorityqueue"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/hallpass-dev/hallpass/internal/controller/attempt"
	"github.com/hallpass-dev/hallpass/internal/controller/fair"
)

// names are the names of the Secrets in a cache.
type names []types.NamespacedName

func (n names) Names(client.Object) []types.NamespacedName { return n }

func TestTheSweepAddsEachRecordWhenNothingElseWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		key := func(namespace, name string) types.NamespacedName {
			return types.NamespacedName{Namespace: namespace, Name: name}
		}
		r := &Reconciler{
			RegistryNamespace: registryNamespace,
			Names:             names{key(registryNamespace, "a"), key("shop", "app"), key(registryNamespace, "b")},
		}
		q, ok := fair.Options(1, attempt.RateLimiter(), nil).NewQueue("", attempt.RateLimiter()).(priorityqueue.PriorityQueue[reconcile.Request])
		if !ok {
			t.Fatal("the queue has no priorities")
		}
		defer q.ShutDown()
		ctx, stop := context.WithCancel(t.Context())
		if err := r.sweep(ctx, q); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			began := time.Now()
			var swept []types.NamespacedName
			for range 2 { // the first one waits for the sweep
				request, priority, _ := q.GetWithPriority()
				if priority != handler.LowPriority {
					t.Errorf("%s has priority %d", request, priority)
				}
				swept = append(swept, request.NamespacedName)
				q.Done(request)
			}
			if diff := cmp.Diff([]types.NamespacedName{key(registryNamespace, "a"), key(registryNamespace, "b")}, swept); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if took := time.Since(began); took != sweepInterval || q.Len() != 0 {
				t.Errorf("a sweep came after %s, and %d more requests wait", took, q.Len())
			}
		}
		stop()
	})
}
