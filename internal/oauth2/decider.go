// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package oauth2

import "hash/maphash"

const (
	// maxIndexed is how many scopes of a resource a Decider indexes, as many as a resource has
	// at most.
	maxIndexed = 64
	// indexFrom is from how many comparisons a scope on an index is quicker than none.
	indexFrom = 128
)

// Decider decides about the scopes of one client at one resource. The manager asks it for the
// status, the token server when it issues and introspects. Ceilings have limited both records
// before. It looks through the consents once and not once a scope: an owner may declare 32 of them
// with 64 scopes each.
type Decider struct {
	client   *Client
	resource *Resource
	consents []Consent
	indexed  bool
	// slots are a hash table of the places of the resource's scopes, which count from one.
	// consented has a bit for each scope that the client may have.
	slots     [2 * maxIndexed]uint8
	consented uint64
}

// DeciderFor returns the Decider about tokens of a client for itself at a resource, which may be
// nil.
func DeciderFor(client *Client, resource *Resource) Decider {
	return DeciderActing(client, resource, 0)
}

// Deciders returns a Decider for each way in which the grant types let the client act: for itself,
// and then for others.
func Deciders(client *Client, resource *Resource, grantTypes GrantTypes) []Decider {
	deciders := []Decider{DeciderFor(client, resource)}
	for _, acting := range grantTypes.Actings() {
		deciders = append(deciders, DeciderActing(client, resource, acting))
	}
	return deciders
}

// DeciderActing returns the Decider about tokens with which the client acts so.
func DeciderActing(client *Client, resource *Resource, acting Acting) Decider {
	if resource == nil {
		return Decider{client: client}
	}
	consents := resource.ConsentsTo(acting)
	d := Decider{client: client, resource: resource, consents: consents}
	if len(resource.Scopes) > maxIndexed || len(consents)*len(resource.Scopes) < indexFrom {
		return d
	}
	d.indexed = true
	for i, scope := range resource.Scopes {
		if slot, place := d.find(scope); place == 0 {
			d.slots[slot] = uint8(i) + 1
		}
	}
	for _, consent := range consents {
		if !consent.covers(client) {
			continue
		}
		for _, scope := range consent.Scopes {
			if _, place := d.find(scope); place > 0 {
				d.consented |= 1 << (place - 1)
			}
		}
	}
	return d
}

// Decide decides about one scope that the client asks for.
func (d *Decider) Decide(scope string) Decision {
	switch {
	case d.resource == nil:
		return ResourceNotFound
	case !d.indexed:
		return decideBy(d.consents, d.client, d.resource, scope)
	}
	switch _, place := d.find(scope); {
	case place == 0:
		return ScopeNotDefined
	case d.consented&(1<<(place-1)) == 0:
		return NotAllowedByResource
	}
	return Granted
}

// scopeSeed keeps owners from choosing scopes whose hashes collide.
var scopeSeed = maphash.MakeSeed() //nolint:gochecknoglobals // a constant of the process

// find returns the place of a scope, or 0 and the slot that it would have.
func (d *Decider) find(scope string) (slot uint64, place uint8) {
	for slot = maphash.String(scopeSeed, scope) % (2 * maxIndexed); ; slot = (slot + 1) % (2 * maxIndexed) {
		if place = d.slots[slot]; place == 0 || d.resource.Scopes[place-1] == scope {
			return slot, place
		}
	}
}
