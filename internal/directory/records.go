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

func (r *records) putClient(lock hash, c packed) { r.change(lock, func(at *record) { at.client = c }) }

func (r *records) putOwner(name hash, o packedOwner) {
	r.change(name, func(at *record) { at.owner = o })
}

// removeClient forgets the registration that a Secret held.
func (r *records) removeClient(secretName string) {
	if lock, ok := registration.LockIn(secretName); ok {
		r.putClient(lock, packed{})
	}
}

func (r *records) removeOwner(name hash) { r.putOwner(name, packedOwner{}) }

func (r *records) change(place hash, change func(*record)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.changeLocked(place, change)
}

func (r *records) changeLocked(place hash, change func(*record)) {
	at := r.values[place]
	change(&at)
	if at == (record{}) {
		delete(r.values, place)
		return
	}
	if r.values == nil {
		r.values = map[hash]record{}
	}
	r.values[place] = at
}

// keepClients forgets the registrations that are not listed.
func (r *records) keepClients(listed map[hash]bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for place := range r.values {
		if !listed[place] {
			r.changeLocked(place, func(at *record) { at.client = packed{} })
		}
	}
}

// keepOwners forgets the owners that are not listed, and returns those that were known.
func (r *records) keepOwners(listed map[hash]bool) (removed map[hash]packedOwner) {
	r.mu.Lock()
	defer r.mu.Unlock()
	removed = map[hash]packedOwner{}
	for place, at := range r.values {
		if !listed[place] && at.owner.known() {
			removed[place] = at.owner
			r.changeLocked(place, func(at *record) { at.owner = packedOwner{} })
		}
	}
	return removed
}

// halves are all that is known, as a snapshot keeps it.
func (r *records) halves() (clients map[hash]packed, owners map[hash]packedOwner) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	clients, owners = make(map[hash]packed, len(r.values)), make(map[hash]packedOwner, len(r.values))
	for place, at := range r.values {
		if at.client != (packed{}) {
			clients[place] = at.client
		}
		if at.owner.known() {
			owners[place] = at.owner
		}
	}
	return clients, owners
}

// fillClients makes the registrations those of a snapshot.
func (r *records) fillClients(clients map[hash]packed) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for place := range r.values {
		r.changeLocked(place, func(at *record) { at.client = packed{} })
	}
	for place, c := range clients {
		r.changeLocked(place, func(at *record) { at.client = c })
	}
}

// fillOwners does so with the owners.
func (r *records) fillOwners(owners map[hash]packedOwner) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for place := range r.values {
		r.changeLocked(place, func(at *record) { at.owner = packedOwner{} })
	}
	for place, o := range owners {
		r.changeLocked(place, func(at *record) { at.owner = o })
	}
}
