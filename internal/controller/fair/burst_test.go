// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package fair

import (
	"context"
	"testing"
	"testing/synctest"

	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/hallpass-dev/hallpass/internal/controller/attempt"
)

// TestABurst of 1,000 events in one namespace and one in another handles each namespace once, and
// wakes what is found.
func TestABurst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueue("", attempt.RateLimiter(), func(r reconcile.Request) string { return r.Namespace })
		defer q.ShutDown()
		looks, reconciled := map[string]int{}, 0
		b := NewBurst(func(_ context.Context, namespace string) ([]types.NamespacedName, error) {
			looks[namespace]++
			return []types.NamespacedName{request(namespace, "waiting").NamespacedName}, nil
		})
		if err := b.Source().Start(t.Context(), q); err != nil {
			t.Fatal(err)
		}
		r := b.Before(reconcile.Func(func(context.Context, reconcile.Request) (ctrl.Result, error) {
			reconciled++
			return ctrl.Result{}, nil
		}))
		for range 1000 {
			b.Note("a", q)
		}
		b.Note("b", q)
		for range 4 {
			got, _ := q.Get()
			if _, err := r.Reconcile(t.Context(), got); err != nil {
				t.Fatal(err)
			}
			q.Done(got)
		}
		synctest.Wait()
		if looks["a"] != 1 || looks["b"] != 1 || reconciled != 2 || q.Len() > 0 {
			t.Errorf("%v looks, %d were woken and %d requests are left; want one look and one wake a namespace", looks, reconciled, q.Len())
		}
	})
}
