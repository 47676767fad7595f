// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

// Package eventqueue creates the events of the manager. Namespaces take turns: however many events
// one namespace has, those of the others are created, and what the API server refuses for a while
// is tried again.
//
// Events that repeat are counted, as by the recorder of client-go. That one remembers each event
// for six minutes or more, a kilobyte each, without a bound, and writes the counts of all
// namespaces one after the other while no other event is recorded. Here what is remembered has a
// bound, the counts take turns too, and events of reasons that never repeat are not remembered.
package eventqueue

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
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

	instance string
	now      func() time.Time

	mu     sync.Mutex
	queue  fair.Schedule[*attempted]
	series series
	// woken has a token for each worker that should read the queue.
	woken chan struct{}
}

// attempted is an event to create, or one whose count is to be written, and how often that failed.
type attempted struct {
	*eventsv1.Event

	failures int
}

// New returns a Recorder.
func New(c Config) *Recorder {
	host, _ := os.Hostname() // an event without it is as good
	return &Recorder{Config: c, instance: c.Name + "-" + host, now: time.Now, woken: make(chan struct{}, workers)}
}

// maxNote is the length of a note that the API server accepts, in bytes.
const maxNote = 1024

// Eventf implements events.EventRecorder.
func (r *Recorder) Eventf(regarding, related runtime.Object, eventType, reason, action, note string, args ...any) {
	event := &eventsv1.Event{
		ReportingController: r.Name, ReportingInstance: r.instance, Action: action, Reason: reason, Type: eventType,
		Note: shorten(fmt.Sprintf(note, args...)), EventTime: metav1.NewMicroTime(r.now()),
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
	event.Namespace = cmp.Or(about.Namespace, metav1.NamespaceDefault)
	event.Name = util.GenerateEventName(about.Name, r.now().UnixNano())
	r.Log.V(1).Info("event", "reason", reason, "namespace", about.Namespace, "name", about.Name, "note", event.Note)
	if !slices.Contains(r.Single, reason) {
		r.mu.Lock()
		event = r.series.add(event, r.now())
		r.mu.Unlock()
	}
	if event != nil {
		r.add(event)
	}
}

// shorten cuts a note that is too long for the API server.
func shorten(note string) string {
	const more = " …"
	if len(note) <= maxNote {
		return note
	}
	return strings.ToValidUTF8(note[:maxNote-len(more)], "") + more
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

// next returns an event to write, or nil and the time until one may be due.
func (r *Recorder) next() (next *fair.Slot[*attempted], wait time.Duration) {
	r.mu.Lock()
	counted, until := r.series.next(r.now())
	r.mu.Unlock()
	if counted != nil {
		r.add(counted)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	next, wait = r.queue.Next(r.now(), idle)
	return next, min(wait, until)
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

// create creates an event, or writes its count. What the API server refuses for a while is tried
// again in the turn of its namespace.
func (r *Recorder) create(ctx context.Context, event *fair.Slot[*attempted]) {
	err := r.write(ctx, event.Item.Event)
	if err == nil || apierrors.IsAlreadyExists(err) {
		return
	}
	if event.Item.failures++; isRefused(err) || event.Item.failures == attempts {
		r.Log.Error(err, "an event is not created", "reason", event.Item.Reason, "namespace", event.Namespace, "name", event.Item.Regarding.Name)
		return
	}
	r.schedule(event, r.now().Add(pause))
}

// write writes the count of an event that has one, and creates any other. An event whose count is
// written is created if there is none: it may still wait, or has expired.
func (r *Recorder) write(ctx context.Context, event *eventsv1.Event) error {
	if event.Series != nil {
		patch, err := json.Marshal(struct {
			Series *eventsv1.EventSeries `json:"series"`
		}{event.Series})
		if err != nil {
			return fmt.Errorf("render the count of an event: %w", err)
		}
		if _, err = r.Sink.Patch(ctx, event, patch); !apierrors.IsNotFound(err) {
			return err //nolint:wrapcheck // create distinguishes the errors
		}
	}
	_, err := r.Sink.Create(ctx, event)
	return err //nolint:wrapcheck // as above
}

// isRefused reports whether the API server will never create an event: it answered, and is neither
// overloaded nor out of order.
func isRefused(err error) bool {
	answer, ok := errors.AsType[*apierrors.StatusError](err)
	return ok && answer.ErrStatus.Code < http.StatusInternalServerError && answer.ErrStatus.Code != http.StatusTooManyRequests
}
