// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package usagereport

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/events"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/event"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/internal/controller/status"
	"github.com/hallpass-dev/hallpass/internal/usage"
)

// TestUsesAndRefusalsTogetherChangeTwentyStatusesASecond has every client of a flood used, and each
// of another one refused. Uses keep their rate beside the refusals.
func TestUsesAndRefusalsTogetherChangeTwentyStatusesASecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const perFlood, seconds = 200, 10
		scheme := runtime.NewScheme()
		if err := v1alpha1.AddToScheme(scheme); err != nil {
			t.Fatal(err)
		}
		builder := fake.NewClientBuilder().WithScheme(scheme).WithStatusSubresource(&v1alpha1.OAuth2Client{})
		now := clock.RealClock{} // the time of the test
		woken := make(chan event.GenericEvent)
		r := &Reconciler{Clock: now, Ledger: NewLedger(now, 10*time.Minute), Clients: woken}
		r.clients.names, r.clients.synced = map[usage.Key]types.NamespacedName{}, func() bool { return true }
		r.tokens.synced = r.clients.synced
		var uses []usage.Entry
		var refusals []usage.Refusal
		for i := range perFlood {
			for _, flood := range []string{"used", "refused"} {
				uid := fmt.Sprint(flood, "-", i)
				builder.WithObjects(&v1alpha1.OAuth2Client{ObjectMeta: metav1.ObjectMeta{Namespace: flood, Name: uid, UID: types.UID(uid)}})
				r.clients.names[usage.KeyOf(uid)] = types.NamespacedName{Namespace: flood, Name: uid}
			}
			uses = append(uses, used(fmt.Sprint("used-", i), now.Now()))
			refusals = append(refusals, usage.Refusal{Key: usage.KeyOf(fmt.Sprint("refused-", i)), Reason: "WrongSecret", Count: 1, At: usage.MinuteOf(now.Now())})
		}
		usage.SortRefusals(refusals)
		cluster := builder.Build()
		r.Client = cluster
		r.Ledger.watchNamespaces(r.namespaceOf)
		r.Ledger.merge(uses)
		r.Ledger.Refusals.merge("one", refusals)

		begun := now.Now()
		ctx, stop := context.WithTimeout(t.Context(), seconds*time.Second-time.Nanosecond)
		defer stop()
		var running sync.WaitGroup
		running.Go(func() { _ = r.Start(ctx) })
		running.Go(func() { _ = r.tellRefusals(ctx) })
		recorder := events.NewFakeRecorder(perFlood)
		written := map[string][seconds]int{}
		running.Go(func() { // the controller of the clients
			for {
				select {
				case <-ctx.Done():
					return
				case e := <-woken:
					if changed, err := writeStatus(ctx, r, cluster, recorder, e.Object); err != nil || !changed {
						t.Errorf("%s is woken and changes: %t, %v", e.Object.GetName(), changed, err)
					}
					n := written[e.Object.GetNamespace()]
					n[now.Since(begun)/time.Second]++
					written[e.Object.GetNamespace()] = n
				}
			}
		})
		running.Wait()
		for second := range seconds {
			if uses, refused := written["used"][second], written["refused"][second]; uses != 15 || refused != 5 {
				t.Errorf("in second %d the statuses of %d used and %d refused clients change, want 15 and 5", second, uses, refused)
			}
		}
		if n := len(recorder.Events); n != 5*seconds {
			t.Errorf("%d events, want one a refused client", n)
		}
	})
}

// writeStatus does what the controller of the clients does with one that it is woken for.
func writeStatus(ctx context.Context, r *Reconciler, cluster client.Client, recorder events.EventRecorder, object client.Object) (bool, error) {
	var c v1alpha1.OAuth2Client
	if err := cluster.Get(ctx, client.ObjectKeyFromObject(object), &c); err != nil {
		return false, err
	}
	wanted := *c.Status.DeepCopy()
	stale := Complete(&wanted, &c, r.Ledger.Told(string(c.UID)))
	refused := CompleteRefusals(&wanted, &c, r.Ledger.Refusals.Told(string(c.UID)), r.Clock.Now())
	changed, err := status.Patch(ctx, cluster, &c, &c.Status, wanted)
	Announce(recorder, &c, stale)
	AnnounceRefusals(recorder, &c, refused)
	return changed, err
}
