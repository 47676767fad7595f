// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package eventqueue

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf8"

	"github.com/go-logr/logr"
	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

const single = "Made"

func pod(namespace, name string) *corev1.Pod {
	return &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, UID: "1", ResourceVersion: "7"}}
}

// cluster is an API server that counts what it is asked for.
type cluster struct {
	// answer is the error for an event; nil creates it.
	answer func(*eventsv1.Event) error

	mu      sync.Mutex
	created []*eventsv1.Event
	tried   map[string]int
	// counts are those that were written, in their order, by the name of the object.
	counts map[string][]int32
	// expired are set if the events that were created are there no more.
	expired bool
}

func (c *cluster) Create(_ context.Context, event *eventsv1.Event) (*eventsv1.Event, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.tried == nil {
		c.tried = map[string]int{}
	}
	c.tried[event.Regarding.Name]++
	if c.answer != nil {
		if err := c.answer(event); err != nil {
			return nil, err
		}
	}
	c.created = append(c.created, event.DeepCopy())
	return event, nil
}

func (c *cluster) Update(ctx context.Context, event *eventsv1.Event) (*eventsv1.Event, error) {
	return c.Create(ctx, event)
}

func (c *cluster) Patch(_ context.Context, event *eventsv1.Event, patch []byte) (*eventsv1.Event, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.expired {
		return nil, apierrors.NewNotFound(eventsv1.Resource("events"), event.Name)
	}
	if c.answer != nil {
		if err := c.answer(event); err != nil {
			return nil, err
		}
	}
	var written struct{ Series eventsv1.EventSeries }
	if err := json.Unmarshal(patch, &written); err != nil {
		return nil, err
	}
	if c.counts == nil {
		c.counts = map[string][]int32{}
	}
	c.counts[event.Regarding.Name] = append(c.counts[event.Regarding.Name], written.Series.Count)
	return event, nil
}

// running runs a test with a Recorder, in a bubble whose time is moved by sleeping.
func running(t *testing.T, c *cluster, test func(r *Recorder)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		scheme := runtime.NewScheme()
		if err := corev1.AddToScheme(scheme); err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		r := New(Config{Single: []string{single}, Name: "hallpass", Scheme: scheme, Sink: c, Log: logr.Discard()})
		r.instance = "hallpass-a"
		ended := make(chan error)
		go func() { ended <- r.Start(ctx) }()
		test(r)
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

func pass(d time.Duration) {
	time.Sleep(d) //nolint:forbidigo // of the bubble
	synctest.Wait()
}

func TestAnEventIsThatOfTheRecorderOfClientGo(t *testing.T) {
	c := &cluster{}
	running(t, c, func(r *Recorder) {
		r.Eventf(pod("shop", "app"), nil, corev1.EventTypeNormal, single, "Make", "Wrote %s", "it")
		pass(0)
		if len(c.created) != 1 || !strings.HasPrefix(c.created[0].Name, "app.") {
			t.Fatalf("created %v", c.created)
		}
		want := &eventsv1.Event{
			ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: c.created[0].Name}, EventTime: metav1.NewMicroTime(time.Now()),
			ReportingController: "hallpass", ReportingInstance: "hallpass-a", Action: "Make", Reason: single, Type: "Normal", Note: "Wrote it",
			Regarding: corev1.ObjectReference{Kind: "Pod", APIVersion: "v1", Namespace: "shop", Name: "app", UID: "1", ResourceVersion: "7"},
		}
		if diff := cmp.Diff(want, c.created[0]); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	})
}

func TestHowOftenAnEventIsTried(t *testing.T) {
	resource, kind := eventsv1.Resource("events"), schema.GroupResource{Resource: "events"}
	for name, c := range map[string]struct {
		fails error
		times int // that it fails
		want  int
	}{
		"the API server is away for a while": {errors.New("connection refused"), 2, 3},
		"it is away for long":                {errors.New("connection refused"), 100, attempts},
		"it is overloaded for a while":       {apierrors.NewTooManyRequests("later", 1), 2, 3},
		"it is out of order for a while":     {apierrors.NewInternalError(errors.New("etcd")), 2, 3},
		"it answers too late for a while":    {apierrors.NewServerTimeout(kind, "create", 1), 2, 3},
		"it refuses":                         {apierrors.NewForbidden(resource, "app", nil), 100, 1},
		"it has the event":                   {apierrors.NewAlreadyExists(resource, "app"), 100, 1},
	} {
		for _, reason := range []string{single, "Again"} {
			t.Run(name+", "+reason, func(t *testing.T) {
				tried := 0
				running(t, &cluster{answer: func(*eventsv1.Event) error {
					if tried++; tried <= c.times {
						return c.fails
					}
					return nil
				}}, func(r *Recorder) {
					r.Eventf(pod("shop", "app"), nil, corev1.EventTypeNormal, reason, "Make", "Wrote it")
					pass(time.Hour)
					if tried != c.want {
						t.Errorf("tried %d times, want %d", tried, c.want)
					}
				})
			})
		}
	}
}

// seen is how many events are created, how many wait, and how many of the flood do.
func seen(r *Recorder, c *cluster) (created, wait, flood int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(c.created), r.queue.Len(), r.queue.LenOf("flood")
}

// The events of one namespace are more than can wait, and each is refused for a while. Those of
// another namespace are all created, the first one before the flood is.
func TestTheEventsOfOneNamespaceDisplaceThoseOfNoOther(t *testing.T) {
	for _, reason := range []string{single, "Again"} {
		t.Run(reason, func(t *testing.T) {
			c := &cluster{answer: func(event *eventsv1.Event) error {
				if event.Namespace == "flood" {
					return apierrors.NewTooManyRequests("later", 1)
				}
				return nil
			}}
			running(t, c, func(r *Recorder) {
				r.Eventf(pod("early", "app"), nil, corev1.EventTypeNormal, reason, "Make", "Wrote it")
				for i := range waiting + 100 {
					r.Eventf(pod("flood", fmt.Sprint("app-", i)), nil, corev1.EventTypeNormal, single, "Make", "Wrote it")
				}
				r.Eventf(pod("late", "app"), nil, corev1.EventTypeNormal, reason, "Make", "Wrote it")
				pass(0)
				if created, wait, flood := seen(r, c); created != 2 || wait > waiting || flood < waiting/2 {
					t.Errorf("%d events of others are created, and %d of the flood wait", created, flood)
				}
				c.mu.Lock()
				c.answer = nil
				c.mu.Unlock()
				pass(pause)
				if created, wait, _ := seen(r, c); wait != 0 || created < waiting {
					t.Errorf("%d events are created in the end, and %d wait", created, wait)
				}
			})
		})
	}
}

func TestAnEventThatRepeatsIsCounted(t *testing.T) {
	c := &cluster{}
	running(t, c, func(r *Recorder) {
		fail := func(version, note string) {
			o := pod("shop", "app")
			o.ResourceVersion = version
			r.Eventf(o, nil, corev1.EventTypeWarning, "Again", "Make", "Failed: %s", note)
			pass(time.Second)
		}
		for i := range 5 {
			fail(fmt.Sprint(i), "quota")
		}
		if diff := cmp.Diff(map[string][]int32{"app": {2}}, c.counts); diff != "" || len(c.created) != 1 {
			t.Errorf("%d events are created, with counts (-want +got):\n%s", len(c.created), diff)
		}
		fail("5", "forbidden") // which is another event
		pass(ends)
		if diff := cmp.Diff(map[string][]int32{"app": {2, 5}}, c.counts); diff != "" || len(c.created) != 2 {
			t.Errorf("%d events are created, with counts (-want +got):\n%s", len(c.created), diff)
		}
		pass(ends)
		if n := len(r.series.known) + r.series.due.Len(); n != 0 {
			t.Errorf("%d events are remembered after they ended", n)
		}
		fail("6", "quota")
		c.expired = true
		fail("7", "quota") // whose count is written in an event of its own
		if last := c.created[len(c.created)-1]; len(c.created) != 4 || last.Series == nil || last.Series.Count != 2 {
			t.Errorf("%d events are created, the last one with the count %v", len(c.created), last.Series)
		}
	})
}

// TestWhatIsWrittenIsNotWhatIsRemembered: to encode an event is to change it.
func TestWhatIsWrittenIsNotWhatIsRemembered(t *testing.T) {
	var s series
	event := func() *eventsv1.Event { return &eventsv1.Event{Reason: "Repeated"} }
	s.add(event(), time.Now()).Kind = "Event"
	if counted := s.add(event(), time.Now()); counted == nil || counted.Kind != "" {
		t.Errorf("the count is of %+v", counted)
	}
}

// The events of one namespace are more than are remembered, and each repeats. Those of another
// namespace are counted, and the counts of the flood, which are refused for a while, delay none.
func TestTheCountsOfOneNamespaceDisplaceThoseOfNoOther(t *testing.T) {
	c := &cluster{answer: func(event *eventsv1.Event) error {
		if event.Namespace == "flood" {
			return apierrors.NewTooManyRequests("later", 1)
		}
		return nil
	}}
	running(t, c, func(r *Recorder) {
		fail := func(namespace, name string) {
			r.Eventf(pod(namespace, name), nil, corev1.EventTypeWarning, "Again", "Make", "Failed")
		}
		fail("early", "early")
		for i := range remembered + 100 {
			fail("flood", fmt.Sprint("app-", i))
			fail("flood", fmt.Sprint("app-", i))
		}
		fail("late", "late")
		fail("early", "early")
		fail("late", "late")
		pass(0)
		if diff := cmp.Diff(map[string][]int32{"early": {2}, "late": {2}}, c.counts); diff != "" {
			t.Errorf("the counts of the others (-want +got):\n%s", diff)
		}
		if n, m := len(r.series.known), r.series.due.Len(); n != remembered || m != remembered {
			t.Errorf("%d and %d events are remembered, want %d", n, m, remembered)
		}
	})
}

// A note that is too long for the API server would be refused.
func TestALongNoteIsCut(t *testing.T) {
	c := &cluster{}
	running(t, c, func(r *Recorder) {
		r.Eventf(pod("shop", "app"), nil, corev1.EventTypeNormal, single, "Make", "%s", strings.Repeat("é", maxNote))
		pass(0)
		note := c.created[0].Note
		if len(note) > maxNote || len(note) < maxNote-10 || !utf8.ValidString(note) || !strings.HasSuffix(note, "é …") {
			t.Errorf("the note has %d bytes and ends with %q", len(note), note[len(note)-10:])
		}
	})
}
