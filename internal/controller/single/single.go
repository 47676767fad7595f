// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

// Package single creates events that never repeat. The recorder of client-go keeps each event for
// six minutes or more, a kilobyte each, to count up one that repeats: after many clients were
// created, that is a fifth of what the manager holds for them.
package single

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/go-logr/logr"
	eventsv1 "k8s.io/api/events/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/tools/record/util"
	"k8s.io/client-go/tools/reference"
)

const (
	// waiting is how many events wait to be created; further ones are dropped.
	waiting = 16 << 10
	// workers create them.
	workers = 8
	// attempts are made of each event, and pause is the time between two of them.
	attempts = 12
	pause    = 10 * time.Second
)

// Sink creates an event.
type Sink func(ctx context.Context, event *eventsv1.Event) error

// Recorder creates each event once, in the background. It implements events.EventRecorder and
// manager.Runnable.
type Recorder struct {
	scheme         *runtime.Scheme
	name, instance string
	sink           Sink
	log            logr.Logger
	now            func() time.Time
	pause          time.Duration
	queue          chan *eventsv1.Event
}

// New returns a Recorder of a controller.
func New(name string, scheme *runtime.Scheme, sink Sink, log logr.Logger) *Recorder {
	host, _ := os.Hostname() //nolint:errcheck // an event without it is as good
	return &Recorder{
		scheme: scheme, name: name, instance: name + "-" + host, sink: sink, log: log, now: time.Now, pause: pause, queue: make(chan *eventsv1.Event, waiting),
	}
}

// Eventf implements events.EventRecorder.
func (r *Recorder) Eventf(regarding, related runtime.Object, eventType, reason, action, note string, args ...any) {
	event := &eventsv1.Event{
		ReportingController: r.name, ReportingInstance: r.instance, Action: action, Reason: reason, Type: eventType, Note: fmt.Sprintf(note, args...),
		EventTime: metav1.NewMicroTime(r.now()),
	}
	about, err := reference.GetReference(r.scheme, regarding)
	if err == nil && related != nil {
		event.Related, err = reference.GetReference(r.scheme, related)
	}
	if err != nil {
		r.log.Error(err, "an event is not created, because its object has no reference", "reason", reason)
		return
	}
	event.Regarding = *about
	event.Namespace, event.Name = about.Namespace, util.GenerateEventName(about.Name, r.now().UnixNano())
	select {
	case r.queue <- event:
	default:
		r.log.Info("an event is dropped, because too many wait to be created", "reason", reason, "namespace", event.Namespace, "name", about.Name)
	}
}

// Start creates events until the context ends.
func (r *Recorder) Start(ctx context.Context) error {
	var working sync.WaitGroup
	for range workers {
		working.Go(func() {
			for {
				select {
				case <-ctx.Done():
					return
				case event := <-r.queue:
					r.create(ctx, event)
				}
			}
		})
	}
	working.Wait()
	return nil
}

// create creates an event. What the API server refuses is not tried again.
func (r *Recorder) create(ctx context.Context, event *eventsv1.Event) {
	for n := 1; ; n++ {
		err := r.sink(ctx, event)
		_, refused := errors.AsType[*apierrors.StatusError](err)
		switch {
		case err == nil || refused && apierrors.IsAlreadyExists(err):
			return
		case refused || n == attempts:
			r.log.Error(err, "an event is not created", "reason", event.Reason, "namespace", event.Namespace, "name", event.Regarding.Name)
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(r.pause):
		}
	}
}
