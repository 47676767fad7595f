// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package output

import (
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/tools/events"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hallpass-dev/hallpass/internal/controller/attempt"
)

// reasonIgnored is the reason of the event about objects that name an owner and were not written
// for it.
const reasonIgnored = "CopyIgnored"

// Copies remembers which copies of its credentials have been reported to each owner. The zero
// Copies is ready to use.
type Copies struct{ told attempt.Proposals[string] }

// toldFor is how long it is remembered, in the memory of this process.
const toldFor = 365 * 24 * time.Hour

// namedCopies are named in an event, and remembered. Users can create any number.
const namedCopies = 10

// Announce emits one event about the copies of an owner, and none until they are others.
func (c *Copies) Announce(recorder events.EventRecorder, owner client.Object, names []string, now time.Time) {
	if len(names) == 0 {
		return
	}
	slices.Sort(names)
	text := strings.Join(names[:min(len(names), namedCopies)], ", ")
	if more := len(names) - namedCopies; more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	if told, young := c.told.Get(owner.GetUID(), now); young && told == text {
		return
	}
	c.told.Put(owner, text, now.Add(toldFor))
	recorder.Eventf(owner, nil, corev1.EventTypeNormal, reasonIgnored, "Ignore",
		"Left alone what names this object and was not written for it: %s", text)
}

// Forget drops what is remembered of a deleted owner.
func (c *Copies) Forget(owner client.Object) { c.told.Drop(owner.GetUID()) }
