// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package eventqueue

import (
	"time"

	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hallpass-dev/hallpass/internal/controller/fair"
)

const (
	// remembered is how many events are remembered to count their repetitions, about 4 MiB.
	// Beyond it the namespace with the most loses one of its own, which then repeats as a new
	// event.
	remembered = 4 << 10
	// ends is how long after its last repetition an event is forgotten. Until then its count is
	// written once in this time.
	ends = 6 * time.Minute
)

// series are the events that may repeat. The zero value is empty. It is not safe for concurrent
// use.
type series struct {
	known map[text]*fair.Slot[*repeated]
	// due has each known event when its count is written, or when it is forgotten.
	due fair.Schedule[*repeated]
}

// text is what an event reports about an object. An event with the same text is a repetition.
type text struct {
	regarding, related               corev1.ObjectReference
	eventType, reason, action, words string
}

func textOf(event *eventsv1.Event) text {
	t := text{regarding: event.Regarding, eventType: event.Type, reason: event.Reason, action: event.Action, words: event.Note}
	if event.Related != nil {
		t.related = *event.Related
	}
	// the status of an object changes its version
	t.regarding.ResourceVersion, t.related.ResourceVersion = "", ""
	return t
}

// repeated is an event, how often it was emitted, and which count is written.
type repeated struct {
	event          *eventsv1.Event
	count, written int32
	last           time.Time
}

// add adds an event. It returns what to write: the event if it is new, its count if it is repeated
// for the first time, and otherwise nil, because the count is written later.
func (s *series) add(event *eventsv1.Event, now time.Time) *eventsv1.Event {
	key := textOf(event)
	if slot := s.known[key]; slot != nil {
		known := slot.Item
		known.count, known.last = known.count+1, now
		if known.count == 2 {
			return known.counted()
		}
		return nil
	}
	if s.known == nil {
		s.known = map[text]*fair.Slot[*repeated]{}
	}
	// a copy: who encodes the event to write it changes it meanwhile
	slot := &fair.Slot[*repeated]{Item: &repeated{event: event.DeepCopy(), count: 1, written: 1, last: now}, Namespace: event.Namespace}
	s.known[key] = slot
	s.due.Add(slot, now.Add(ends))
	if s.due.Len() > remembered {
		excess := s.due.Excess()
		s.due.Remove(excess)
		delete(s.known, textOf(excess.Item.event))
	}
	return event
}

// next returns an event whose count is to be written, or nil and the time until one may be. It
// forgets the events that have ended.
func (s *series) next(now time.Time) (*eventsv1.Event, time.Duration) {
	for {
		slot, wait := s.due.Next(now, idle)
		if slot == nil {
			return nil, wait
		}
		known := slot.Item
		if end := known.last.Add(ends); now.Before(end) {
			s.due.Add(slot, end)
		} else {
			delete(s.known, textOf(known.event))
		}
		if known.written < known.count {
			return known.counted(), 0
		}
	}
}

// counted is the event with its count, which is taken as written.
func (r *repeated) counted() *eventsv1.Event {
	r.written = r.count
	event := r.event.DeepCopy()
	event.Series = &eventsv1.EventSeries{Count: r.count, LastObservedTime: metav1.NewMicroTime(r.last)}
	return event
}
