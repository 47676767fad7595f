// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package usagereport

import (
	"slices"
	"time"

	"github.com/hallpass-dev/hallpass/internal/usage"
)

// shed forgets clients and refusals if there are too many. It makes room for an eighth of them, so
// that it is rare. It returns how many clients were forgotten.
func (r *Refusals) shed(now time.Time) (forgotten int) {
	before := len(r.clients)
	if before > r.most {
		r.shedClients(now, r.most-r.most/8)
	}
	forgotten = before - len(r.clients)
	if r.stored > r.mostStored {
		r.shedRefusals(r.mostStored - r.mostStored/8)
	}
	return forgotten
}

// shedClients forgets the clients of the namespaces with the most, so that all have room. The
// client that was refused least recently is forgotten first. A client whose status was written
// within refresh is forgotten last: the status of a forgotten client may be written again at once.
func (r *Refusals) shedClients(now time.Time, room int) {
	held := make([]usage.Held[string, *refused], 0, len(r.clients))
	for _, c := range r.clients {
		at := c.latest()
		if now.Sub(c.toldAt) < r.refresh {
			at = max(at, usage.MinuteOf(now)+1)
		}
		held = append(held, usage.Held[string, *refused]{Thing: c, Owner: c.Namespace, Size: 1, At: int64(at)})
	}
	for _, c := range usage.Excess(held, room) {
		r.remove(c)
	}
}

// latest is when the client was last refused.
func (c *refused) latest() (last usage.Minute) {
	for _, refusals := range c.reported {
		for i := range refusals {
			last = max(last, refusals[i].At)
		}
	}
	return last
}

// reportedRefusal is a refusal in a report.
type reportedRefusal struct {
	client         *refused
	report, reason string
}

// shedRefusals drops the oldest refusals of the namespaces with the most, so that all have room.
func (r *Refusals) shedRefusals(room int) {
	held := make([]usage.Held[string, reportedRefusal], 0, r.stored)
	for _, c := range r.clients {
		for report, refusals := range c.reported {
			for i := range refusals {
				refusal := &refusals[i]
				held = append(held, usage.Held[string, reportedRefusal]{
					Thing: reportedRefusal{c, report, refusal.Reason}, Owner: c.Namespace, Size: 1, At: int64(refusal.At),
				})
			}
		}
	}
	for _, e := range usage.Excess(held, room) {
		others := slices.DeleteFunc(e.client.reported[e.report], func(refusal usage.Refusal) bool { return refusal.Reason == e.reason })
		r.put(e.client, e.report, others)
	}
}
