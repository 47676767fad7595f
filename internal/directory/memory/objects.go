// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package memory

import (
	"iter"
	"time"

	"github.com/hallpass-dev/hallpass/internal/restore"
)

// object is a custom resource that owns what the registry holds.
type object[V any] interface {
	comparable
	// identity returns the UID, which is empty if there is no object.
	identity() (uid string, isTerminating bool)
	// refused returns the object as terminating.
	refused() V
	// tenant is the namespace.
	tenant() Tenant
}

// places are where the objects of a kind are.
type places[V any] interface {
	get(place Place) V
	put(place Place, value V)
	keep(listed map[Place]bool) (removed map[Place]V)
	each(visit func(Place, V))
}

// objects are the objects of one kind: those that exist, and the tombstones of those that do not.
type objects[V object[V]] struct {
	resource   string
	at         places[V]
	tombstones *tombstones
	now        func() time.Time
}

// Sighting is an object as a watch, a list or a look-up returns it.
type Sighting struct {
	Place       Place
	UID         string
	Terminating bool
}

func (o *objects[V]) identity(s Sighting) Place { return identity(o.resource, s.Place, s.UID) }

// known is the state in which memory knows an object, as far as it proves something.
func (o *objects[V]) known(s Sighting) restore.State {
	uid, isTerminating := o.at.get(s.Place).identity()
	switch {
	case isTerminating && uid == s.UID:
		return restore.Terminating
	case o.tombstones.has(o.identity(s)):
		return restore.Deleted
	}
	return restore.Unknown
}

// Deletions is the moment from which a look-up asks: see ProofOf.
func (o *objects[V]) Deletions() Deletions { return o.tombstones.deletions() }

// ProofOf returns what an object that was looked up proves beside the state when the request was
// sent.
func (o *objects[V]) ProofOf(s Sighting, asked Deletions, wasTerminating bool) restore.Proof {
	if wasTerminating {
		return s.proves(restore.Terminating)
	}
	return s.proves(o.tombstones.state(o.identity(s), asked))
}

// proves returns what an object proves beside the state in which it was known.
func (s Sighting) proves(known restore.State) restore.Proof {
	seen := restore.Present
	if s.Terminating {
		seen = restore.Terminating
	}
	return restore.Prove(restore.Facts{Object: known}, restore.Facts{Object: seen}, 0)
}

func (o *objects[V]) isResurrected(s Sighting) bool { return s.proves(o.known(s)) != restore.None }

// apply stores an object. It returns the UIDs of deleted or terminating objects: that of another
// object which had the name, and its own if it is terminating.
func (o *objects[V]) apply(place Place, value V) (gone []string) {
	uid, isTerminating := value.identity()
	if before, _ := o.at.get(place).identity(); before != "" && before != uid {
		gone = append(gone, before)
	}
	if isTerminating {
		gone = append(gone, uid)
	}
	o.bury(place, value.tenant(), gone...)
	if o.isResurrected(Sighting{place, uid, isTerminating}) {
		value = value.refused()
	}
	o.at.put(place, value)
	return gone
}

// remove removes an object that was deleted.
func (o *objects[V]) remove(place Place, from Tenant, uid string) {
	var none V
	o.bury(place, from, uid)
	o.at.put(place, none)
}

// bury records that objects are gone for good, or about to go.
func (o *objects[V]) bury(place Place, from Tenant, uids ...string) {
	for _, uid := range uids {
		o.tombstones.add(identity(o.resource, place, uid), from)
	}
}

// revive accepts an object of a restored store as one that exists.
func (o *objects[V]) revive(s Sighting, value V) {
	o.tombstones.remove(o.identity(s))
	o.at.put(s.Place, value)
}

// replace makes these the objects. It returns the UIDs of those that are gone, or about to go.
func (o *objects[V]) replace(list iter.Seq2[Place, V], saved bool) (gone []string) {
	listed := map[Place]bool{}
	for place, value := range list {
		listed[place] = true
		if saved {
			o.at.put(place, value)
		} else {
			gone = append(gone, o.apply(place, value)...)
		}
	}
	for place, value := range o.at.keep(listed) {
		if uid, _ := value.identity(); !saved {
			o.bury(place, value.tenant(), uid)
			gone = append(gone, uid)
		}
	}
	return gone
}
