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
)

const (
	// waiting is how many events wait to be created; further ones are dropped.
	waiting = 16 << 10
	// workers create them.
	workers = 16
	// attempts are made of each event, and pause is the time between two of them.
	attempts = 12
	pause    = 10 * time.Second
)

// Sink creates an event.
type Sink func(ctx context.Context, event *eventsv1.Event) error

// Config is what a Recorder needs.
type Config struct {
	// EventRecorder records all events but those of the reasons that are Single.
	events.EventRecorder

	Single []string
	// Name is that of the controller.
	Name   string
	Scheme *runtime.Scheme
	Sink   Sink
	Log    logr.Logger
}

// Recorder creates each event of a single reason once, in the background. It implements
// events.EventRecorder and manager.Runnable.
type Recorder struct {
	Config

	instance string
	now      func() time.Time
	queue    chan *eventsv1.Event
}

// New returns a Recorder.
func New(c Config) *Recorder {
	host, _ := os.Hostname() // an event without it is as good
	return &Recorder{Config: c, instance: c.Name + "-" + host, now: time.Now, queue: make(chan *eventsv1.Event, waiting)}
}

// Eventf implements events.EventRecorder.
func (r *Recorder) Eventf(regarding, related runtime.Object, eventType, reason, action, note string, args ...any) {
	if !slices.Contains(r.Single, reason) {
		r.EventRecorder.Eventf(regarding, related, eventType, reason, action, note, args...)
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
	select {
	case r.queue <- event:
	default:
		r.Log.Info("an event is dropped, because too many wait to be created", "reason", reason, "namespace", event.Namespace, "name", about.Name)
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
		err := r.Sink(ctx, event)
		_, refused := errors.AsType[*apierrors.StatusError](err)
		switch {
		case err == nil || refused && apierrors.IsAlreadyExists(err):
			return
		case refused || n == attempts:
			r.Log.Error(err, "an event is not created", "reason", event.Reason, "namespace", event.Namespace, "name", event.Regarding.Name)
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause):
		}
	}
}
