// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package single

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-logr/logr"
	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/tools/events"
)

func pod() *corev1.Pod {
	return &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "app", UID: "1", ResourceVersion: "7"}}
}

func newRecorder(t *testing.T, sink Sink) *Recorder {
	t.Helper()
	scheme := runtime.NewScheme()
	if err := corev1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	r := New(Config{
		EventRecorder: events.NewFakeRecorder(1), Single: []string{"Made"}, Name: "hallpass", Scheme: scheme, Sink: sink, Log: logr.Discard(),
	})
	r.instance = "hallpass-a"
	return r
}

func TestAnEventIsThatOfTheRecorderOfClientGo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var created []*eventsv1.Event
		r := newRecorder(t, func(_ context.Context, event *eventsv1.Event) error {
			created = append(created, event)
			return nil
		})
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		go func() { _ = r.Start(ctx) }()
		r.Eventf(pod(), nil, corev1.EventTypeNormal, "Made", "Make", "Wrote %s", "it")
		synctest.Wait()
		if len(created) != 1 || !strings.HasPrefix(created[0].Name, "app.") {
			t.Fatalf("created %v", created)
		}
		want := &eventsv1.Event{
			ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: created[0].Name}, EventTime: metav1.NewMicroTime(time.Now()),
			ReportingController: "hallpass", ReportingInstance: "hallpass-a", Action: "Make", Reason: "Made", Type: "Normal", Note: "Wrote it",
			Regarding: corev1.ObjectReference{Kind: "Pod", APIVersion: "v1", Namespace: "shop", Name: "app", UID: "1", ResourceVersion: "7"},
		}
		if diff := cmp.Diff(want, created[0]); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	})
}

func TestHowOftenAnEventIsTried(t *testing.T) {
	for name, c := range map[string]struct {
		fails error
		times int // that it fails
		want  int
	}{
		"the API server is away for a while": {errors.New("connection refused"), 2, 3},
		"it is away for long":                {errors.New("connection refused"), 100, attempts},
		"it refuses":                         {apierrors.NewForbidden(eventsv1.Resource("events"), "app", nil), 100, 1},
		"it has the event":                   {apierrors.NewAlreadyExists(eventsv1.Resource("events"), "app"), 100, 1},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				tried := 0
				r := newRecorder(t, func(context.Context, *eventsv1.Event) error {
					if tried++; tried <= c.times {
						return c.fails
					}
					return nil
				})
				ctx, stop := context.WithCancel(t.Context())
				defer stop()
				go func() { _ = r.Start(ctx) }()
				r.Eventf(pod(), nil, corev1.EventTypeNormal, "Made", "Make", "Wrote it")
				time.Sleep(time.Hour) //nolint:forbidigo // of the bubble
				synctest.Wait()
				if tried != c.want {
					t.Errorf("tried %d times, want %d", tried, c.want)
				}
			})
		})
	}
}

func TestEventsThatWaitAreBounded(t *testing.T) {
	r := newRecorder(t, nil)
	for range waiting + 10 { // nothing creates them
		r.Eventf(pod(), nil, corev1.EventTypeNormal, "Made", "Make", "Wrote it")
	}
	if len(r.queue) != waiting {
		t.Errorf("%d events wait", len(r.queue))
	}
}

func TestOtherReasonsAreRecordedAsBefore(t *testing.T) {
	r := newRecorder(t, nil)
	r.Eventf(pod(), nil, corev1.EventTypeNormal, "Again", "Make", "Wrote it")
	fake, _ := r.EventRecorder.(*events.FakeRecorder)
	if len(fake.Events) != 1 || len(r.queue) != 0 {
		t.Errorf("%d are recorded and %d wait", len(fake.Events), len(r.queue))
	}
}
