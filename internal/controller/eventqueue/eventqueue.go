// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

// Package eventqueue creates the events of the manager. Namespaces take turns: however many events
// one namespace has, those of the others are created, and what the API server refuses for a while
// is tried again.
//
// The recorder of client-go counts the events that repeat. For that it keeps each event for six
// minutes or more, a kilobyte each: after many clients were created, that would be a fifth of what
// the manager holds for them. So events of reasons that never repeat do not pass through it.
package eventqueue

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/go-logr/logr"
	eventsv1 "k8s.io/api/events/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/tools/events"
	"k8s.io/client-go/tools/record/util"
	"k8s.io/client-go/tools/reference"

	"github.com/hallpass-dev/hallpass/internal/controller/fair"
)

const (
	// waiting is how many events wait to be created. Beyond it the namespace with the most
	// loses one of its own.
	waiting = 16 << 10
	// workers create them.
	workers = 16
	// attempts are made of each event, and pause is the time between two of them.
	attempts = 12
	pause    = 10 * time.Second
	// idle is how long a worker sleeps at most.
	idle = time.Hour
)

// Config is what a Recorder needs.
type Config struct {
	// Single are the reasons whose events never repeat.
	Single []string
	// Name is that of the controller.
	Name   string
	Scheme *runtime.Scheme
	Sink   events.EventSink
	Log    logr.Logger
}

// Recorder creates events in the background. It implements events.EventRecorder and
// manager.Runnable.
type Recorder struct {
	Config

	// counting counts the events that repeat, and creates each through the queue.
	counting    events.EventRecorder
	broadcaster events.EventBroadcaster
	instance    string
	now         func() time.Time

	mu    sync.Mutex
	queue fair.Schedule[*attempted]
	// woken has a token for each worker that should read the queue.
	woken chan struct{}
}

// attempted is an event, and how often its creation failed.
type attempted struct {
	*eventsv1.Event

	failures int
}

// New returns a Recorder, which counts events until the context ends.
func New(ctx context.Context, c Config) (*Recorder, error) {
	host, _ := os.Hostname() // an event without it is as good
	r := &Recorder{Config: c, instance: c.Name + "-" + host, now: time.Now, woken: make(chan struct{}, workers)}
	r.broadcaster = events.NewBroadcaster(queueing{c.Sink, r})
	if err := r.broadcaster.StartRecordingToSinkWithContext(ctx); err != nil {
		return nil, fmt.Errorf("start recording events: %w", err)
	}
	if _, err := r.broadcaster.StartLogging(c.Log.V(1)); err != nil {
		return nil, fmt.Errorf("start logging events: %w", err)
	}
	r.counting = r.broadcaster.NewRecorder(c.Scheme, c.Name)
	return r, nil
}

// queueing is a sink whose new events wait in the queue. The counts of those that repeat are
// written at once: they are a few an hour. A count of an event that still waits creates it.
type queueing struct {
	events.EventSink

	recorder *Recorder
}

// Create implements events.EventSink.
func (q queueing) Create(ctx context.Context, event *eventsv1.Event) (*eventsv1.Event, error) {
	if event.Series != nil {
		return q.EventSink.Create(ctx, event) //nolint:wrapcheck // client-go distinguishes the errors
	}
	q.recorder.add(event)
	return event, nil
}

// Eventf implements events.EventRecorder.
func (r *Recorder) Eventf(regarding, related runtime.Object, eventType, reason, action, note string, args ...any) {
	if !slices.Contains(r.Single, reason) {
		r.counting.Eventf(regarding, related, eventType, reason, action, note, args...)
		return
	}
	event := &eventsv1.Event{
		ReportingController: r.Name, ReportingInstance: r.instance, Action: action, Reason: reason, Type: eventType, Note: fmt.Sprintf(note, args...),
		EventTime: metav1.NewMicroTime(r.now()),
	}
	about, err := reference.GetReference(r.Scheme, regarding)
	if err == nil && related != nil {
		event.Related, err = reference.GetReference(r.Scheme, related)
	}
	if err != nil {
		r.Log.Error(err, "an event is not created, because its object has no reference", "reason", reason)
		return
	}
	event.Regarding = *about
	event.Namespace, event.Name = about.Namespace, util.GenerateEventName(about.Name, r.now().UnixNano())
	r.add(event)
}

func (r *Recorder) add(event *eventsv1.Event) {
	r.schedule(&fair.Slot[*attempted]{Item: &attempted{Event: event}, Namespace: event.Namespace}, r.now())
}

// schedule has an event created at a time. If too many wait, one of the namespace with the most is
// dropped.
func (r *Recorder) schedule(event *fair.Slot[*attempted], due time.Time) {
	r.mu.Lock()
	r.queue.Add(event, due)
	var dropped *fair.Slot[*attempted]
	if r.queue.Len() > waiting {
		dropped = r.queue.Excess()
		r.queue.Remove(dropped)
	}
	r.mu.Unlock()
	r.wake()
	if dropped != nil {
		r.Log.Info("an event is dropped, because too many of its namespace wait to be created",
			"reason", dropped.Item.Reason, "namespace", dropped.Namespace, "name", dropped.Item.Regarding.Name)
	}
}

func (r *Recorder) wake() {
	select {
	case r.woken <- struct{}{}:
	default: // all workers are woken already
	}
}

func (r *Recorder) next() (next *fair.Slot[*attempted], wait time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.queue.Next(r.now(), idle)
}

// NeedLeaderElection implements manager.LeaderElectionRunnable: each replica has events.
func (*Recorder) NeedLeaderElection() bool { return false }

// Start creates events until the context ends.
func (r *Recorder) Start(ctx context.Context) error {
	var working sync.WaitGroup
	for range workers {
		working.Go(func() { r.work(ctx) })
	}
	working.Wait()
	r.broadcaster.Shutdown()
	return nil
}

func (r *Recorder) work(ctx context.Context) {
	for ctx.Err() == nil {
		next, wait := r.next()
		if next != nil {
			r.wake() // another one may be due, too
			r.create(ctx, next)
			continue
		}
		select {
		case <-ctx.Done():
		case <-time.After(wait):
		case <-r.woken:
		}
	}
}

// create creates an event. What the API server refuses for a while is tried again in the turn of
// its namespace.
func (r *Recorder) create(ctx context.Context, event *fair.Slot[*attempted]) {
	_, err := r.Sink.Create(ctx, event.Item.Event)
	if err == nil || apierrors.IsAlreadyExists(err) {
		return
	}
	if event.Item.failures++; isRefused(err) || event.Item.failures == attempts {
		r.Log.Error(err, "an event is not created", "reason", event.Item.Reason, "namespace", event.Namespace, "name", event.Item.Regarding.Name)
		return
	}
	r.schedule(event, r.now().Add(pause))
}

// isRefused reports whether the API server will never create an event: it answered, and is neither
// overloaded nor out of order.
func isRefused(err error) bool {
	answer, ok := errors.AsType[*apierrors.StatusError](err)
	return ok && answer.ErrStatus.Code < http.StatusInternalServerError && answer.ErrStatus.Code != http.StatusTooManyRequests
}
