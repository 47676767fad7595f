// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package directory

import (
	"sync"

	"github.com/hallpass-dev/hallpass/internal/oauth2"
	"github.com/hallpass-dev/hallpass/internal/registration"
)

// records is what is known of registered clients, so that a request finds it by one look. A registration stands under the lock on its
// client_id, which the name of its Secret tells too, and what the OAuth2Client itself says that can deny under the hash of its name. That
// is one place unless the client_id was chosen.
type records struct {
	mu     sync.RWMutex
	values map[hash]record
}

// record is what stands at one place; each half may be missing.
type record struct {
	client packed
	owner  packedOwner
}

// get is what is known of a client_id.
func (r *records) get(clientID string) oauth2.Record {
	lock := hash(registration.LockOf(clientID))
	found := r.at(lock)
	whole := found.client.unpacked()
	if whole == nil || whole.client.ID != clientID {
		return oauth2.Record{}
	}
	if c := &whole.client; !c.IDIsName() {
		found = r.at(hashOf(ownerName(c.Namespace, c.Name)))
	}
	if found.owner.known() {
		whole.owner = found.owner.owner(whole.client.UID)
		return oauth2.Record{Client: &whole.client, Owner: &whole.owner}
	}
	return oauth2.Record{Client: &whole.client}
}

func (r *records) at(place hash) record {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.values[place]
}

// owner is what the OAuth2Client of a name says; nil if it is not known.
func (r *records) owner(name hash) *oauth2.Owner {
	if found := r.at(name).owner; found.known() {
		return new(found.owner(""))
	}
	return nil
}

func (r *records) putClient(lock hash, c packed) { put(r, clientOf, lock, c) }

func (r *records) putOwner(name hash, o packedOwner) { put(r, ownerIn, name, o) }

// removeClient forgets the registration that a Secret held.
func (r *records) removeClient(secretName string) {
	if lock, ok := registration.LockIn(secretName); ok {
		r.putClient(lock, packed{})
	}
}

func (r *records) removeOwner(name hash) { r.putOwner(name, packedOwner{}) }

// half is one half of a record; its zero value is none.
type half[V comparable] func(*record) *V

func clientOf(r *record) *packed { return &r.client }

func ownerIn(r *record) *packedOwner { return &r.owner }

func put[V comparable](r *records, of half[V], place hash, value V) {
	r.mu.Lock()
	defer r.mu.Unlock()
	putLocked(r, of, place, value)
}

func putLocked[V comparable](r *records, of half[V], place hash, value V) {
	at := r.values[place]
	if *of(&at) = value; at == (record{}) {
		delete(r.values, place)
		return
	}
	if r.values == nil {
		r.values = map[hash]record{}
	}
	r.values[place] = at
}

// all is the half of every record that has it.
func all[V comparable](r *records, of half[V]) map[hash]V {
	r.mu.RLock()
	defer r.mu.RUnlock()
	var none V
	found := make(map[hash]V, len(r.values))
	for place, at := range r.values {
		if value := *of(&at); value != none {
			found[place] = value
		}
	}
	return found
}

// keep forgets what is not listed, and returns it. It never has the lock for long.
func keep[V comparable](r *records, of half[V], listed map[hash]bool) (removed map[hash]V) {
	r.mu.Lock()
	defer r.mu.Unlock()
	var none V
	removed = map[hash]V{}
	visited := 0
	for place, at := range r.values {
		if value := *of(&at); value != none && !listed[place] {
			removed[place] = value
			putLocked(r, of, place, none)
		}
		if visited++; visited%burst == 0 {
			r.mu.Unlock()
			r.mu.Lock()
		}
	}
	return removed
}

// fill makes the half that of a snapshot.
func fill[V comparable](r *records, of half[V], values map[hash]V) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for place := range r.values {
		putLocked(r, of, place, values[place])
	}
	for place, value := range values {
		putLocked(r, of, place, value)
	}
}
