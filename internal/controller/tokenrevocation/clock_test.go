// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package tokenrevocation

import (
	"fmt"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/runtime"
	clocktesting "k8s.io/utils/clock/testing"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/internal/apiclock"
	"github.com/hallpass-dev/hallpass/internal/revocation"
)

func TestARevocationIsDeletedWhenTheClocksAgreeThatItsTokensHaveExpired(t *testing.T) {
	day := noon.Add(24 * time.Hour)
	for name, c := range map[string]struct {
		now  apiclock.Time
		want bool // that it is there
	}{
		"our clock is ahead by a day":                         {apiclock.Time{Earliest: noon, Latest: day}, true},
		"our clock is behind by a day":                        {apiclock.Time{Earliest: noon.Add(-24 * time.Hour), Latest: noon}, true},
		"both clocks are ahead, and have agreed for a moment": {apiclock.Time{Earliest: day, Latest: day}, true},
		"both clocks agree that the tokens live":              {apiclock.At(noon), true},
		"both clocks agree that the tokens have expired":      {apiclock.At(day), false},
	} {
		t.Run(name, func(t *testing.T) {
			scheme := runtime.NewScheme()
			if err := v1alpha1.AddToScheme(scheme); err != nil {
				t.Fatal(err)
			}
			cluster := fake.NewClientBuilder().WithScheme(scheme)
			for i := range 2 * mergeFrom {
				object := batchObject(fmt.Sprint("batch-", i), noon, revocation.Batch{Tokens: entries(i, 1, noon.Add(time.Hour))})
				object.Namespace = "registry"
				cluster.WithObjects(&object)
			}
			selected := selectorObject(noon, noon)
			selected.Namespace = "registry"
			cluster.WithObjects(&selected)
			r := Reconciler{
				Client: cluster.Build(), Clock: clocktesting.NewFakePassiveClock(noon), Time: func() apiclock.Time { return c.now },
				RegistryNamespace: "registry", Lifetime: time.Hour,
			}
			r.Live = r.Client
			result, err := r.Reconcile(t.Context(), ctrl.Request{})
			if err != nil {
				t.Fatal(err)
			}
			if c.want && !c.now.Agreed && result.RequeueAfter != apiclock.Apart {
				t.Errorf("looks again in %s", result.RequeueAfter)
			}
			var left v1alpha1.TokenRevocationList
			if err := r.Client.List(t.Context(), &left); err != nil {
				t.Fatal(err)
			}
			tokens, selectors := 0, 0
			for i := range left.Items {
				selector, batch, err := revocation.Read(&left.Items[i])
				if err != nil {
					t.Fatal(err)
				}
				if tokens += len(batch.Tokens); selector != nil {
					selectors++
				}
			}
			if want := map[bool]int{true: 2 * mergeFrom}[c.want]; tokens != want || (selectors == 1) != c.want {
				t.Errorf("%d tokens and %d selectors are revoked, want %d", tokens, selectors, want)
			}
		})
	}
}

func TestBatchesOfUsedAssertionsAreMergedToo(t *testing.T) {
	var objects []v1alpha1.TokenRevocation
	for i := range mergeFrom {
		objects = append(objects, batchObject(fmt.Sprint("batch-", i), noon, revocation.Batch{Assertions: entries(i, 1, noon.Add(6*time.Minute))}))
	}
	p := decide(objects, time.Hour, noon)
	if len(p.merges) != 1 || len(p.merges[0].batch.Assertions) != mergeFrom || len(p.merges[0].from) != mergeFrom {
		t.Fatalf("%d merges", len(p.merges))
	}
	if p := decide(objects, time.Hour, noon.Add(6*time.Minute+assertionMargin-time.Second)); len(p.expired) != 0 {
		t.Error("they are deleted before other clocks have reached their end")
	}
}
