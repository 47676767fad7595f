// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package memory

import (
	"github.com/hallpass-dev/hallpass/internal/oauth2"
	"github.com/hallpass-dev/hallpass/internal/registration"
)

// records are the registered clients and their owners. A registration is at the lock on its
// client_id, from which the name of its Secret is derived too; an owner is at the place of its
// OAuth2Client. Unless the client_id was chosen, these are one place, and a request finds both by
// one read.
type records struct{ table[record] }

// record is what is at one place. Either part may be missing.
type record struct {
	client packed
	owner  packedOwner
}

// find returns what is known about a client_id.
func (r *records) find(clientID string) oauth2.Record {
	found := r.at(Place(registration.LockOf(clientID)))
	if found.Client == nil || found.Client.ID != clientID {
		return oauth2.Record{}
	}
	return found
}

// at returns the registration at a lock, and its owner.
func (r *records) at(lock Place) oauth2.Record {
	at := r.get(lock)
	whole := at.client.unpacked()
	if whole == nil {
		return oauth2.Record{}
	}
	if c := &whole.client; !c.IDIsName() {
		at = r.get(PlaceOf(c.Namespace, c.Name))
	}
	if at.owner.known() {
		whole.owner = at.owner.owner(whole.client.UID)
		return oauth2.Record{Client: &whole.client, Owner: &whole.owner}
	}
	return oauth2.Record{Client: &whole.client}
}

// half is one part of all records.
type half[V comparable] struct {
	records *records
	of      part[V]
}

// part returns where a record has a part.
type part[V comparable] func(*record) *V

func clientOf(r *record) *packed { return &r.client }

func ownerOf(r *record) *packedOwner { return &r.owner }

func (h half[V]) get(place Place) V {
	at := h.records.get(place)
	return *h.of(&at)
}

func (h half[V]) put(place Place, value V) {
	h.records.mu.Lock()
	defer h.records.mu.Unlock()
	at := h.records.values[place]
	*h.of(&at) = value
	h.records.set(place, at)
}

func (h half[V]) each(visit func(Place, V)) {
	var none V
	h.records.each(func(place Place, at record) {
		if value := *h.of(&at); value != none {
			visit(place, value)
		}
	})
}

// keep removes the parts that are not listed, and returns them.
func (h half[V]) keep(listed map[Place]bool) (removed map[Place]V) {
	var none V
	removed = map[Place]V{}
	h.records.change(func(place Place, at record) record {
		if value := h.of(&at); *value != none && !listed[place] {
			removed[place] = *value
			*value = none
		}
		return at
	})
	return removed
}
