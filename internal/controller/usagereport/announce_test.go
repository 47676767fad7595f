// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package usagereport

import (
	"context"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	eventsv1 "k8s.io/api/events/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/tools/events"
	clocktesting "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/internal/controller/status"
	"github.com/hallpass-dev/hallpass/internal/usage"
)

// sink has the note of each event, with how often it was seen.
type sink struct {
	mu    sync.Mutex
	notes map[string]int32
	wrote chan struct{}
}

func (s *sink) store(e *eventsv1.Event) (*eventsv1.Event, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.notes[e.Note] = 1
	if e.Series != nil {
		s.notes[e.Note] = e.Series.Count
	}
	s.wrote <- struct{}{}
	return e, nil
}

func (s *sink) Create(_ context.Context, e *eventsv1.Event) (*eventsv1.Event, error) {
	return s.store(e)
}
func (s *sink) Update(_ context.Context, e *eventsv1.Event) (*eventsv1.Event, error) {
	return s.store(e)
}
func (s *sink) Patch(_ context.Context, e *eventsv1.Event, _ []byte) (*eventsv1.Event, error) {
	return s.store(e)
}

// The broadcaster of client-go takes two events for one if all but their notes and times are equal.
// The status is written before each event, so that they are about two versions of the object.
func TestEachRefusalIsAnEventWithItsOwnText(t *testing.T) {
	clock := clocktesting.NewFakePassiveClock(at(0))
	scheme := runtime.NewScheme()
	if err := v1alpha1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	c := &v1alpha1.OAuth2Client{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "c", UID: "c"}}
	cluster := fake.NewClientBuilder().WithScheme(scheme).WithObjects(c).WithStatusSubresource(c).Build()
	written := &sink{notes: map[string]int32{}, wrote: make(chan struct{}, 10)}
	broadcaster := events.NewBroadcaster(written)
	if err := broadcaster.StartRecordingToSinkWithContext(t.Context()); err != nil {
		t.Fatal(err)
	}
	defer broadcaster.Shutdown()
	recorder := broadcaster.NewRecorder(scheme, "hallpass")
	want := map[string]int32{}
	for i, subject := range []string{"orders.reed", "orders.wrte"} {
		now := 10 * i
		clock.SetTime(at(now))
		refused := refusal("c", "ScopeNotGranted", uint64(1+50*now), now)
		refused.Subject = subject
		wanted := *c.Status.DeepCopy()
		news := CompleteRefusals(&wanted, c, []usage.Refusal{refused}, clock.Now())
		if _, err := status.Patch(t.Context(), cluster, c, &c.Status, wanted); err != nil {
			t.Fatal(err)
		}
		AnnounceRefusals(recorder, c, news)
		for _, n := range news {
			want[n.Text()] = 1
			select {
			case <-written.wrote:
			case <-time.After(time.Minute):
				t.Fatalf("no event for %s", n.Text())
			}
		}
	}
	written.mu.Lock()
	defer written.mu.Unlock()
	if diff := cmp.Diff(want, written.notes); diff != "" || len(want) != 2 {
		t.Errorf("events %v (-want +got):\n%s", slices.Collect(maps.Keys(want)), diff)
	}
}
