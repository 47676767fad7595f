// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package memory

import (
	"fmt"
	"iter"
	"strings"
	"time"

	"github.com/hallpass-dev/hallpass/internal/keyring"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
	"github.com/hallpass-dev/hallpass/internal/registration"
	"github.com/hallpass-dev/hallpass/internal/restore"
	"github.com/hallpass-dev/hallpass/internal/revocation"
	"github.com/hallpass-dev/hallpass/internal/seal"
)

// Record is a Secret of the registry as it was decoded. One that is unreadable has no value.
type Record struct {
	name, kind string
	version    uint64
	// lock is the place of a registration: the lock that its name is derived from.
	lock   Place
	client packed
	// DroppedClaims are the claims of a client that are not allowed. No token has them.
	DroppedClaims []string
	// value is a *oauth2.Resource, a *oauth2.TrustedIssuer, a *oauth2.Minted, a *keyring.Ring
	// or a *seal.Ring, by its kind.
	value any
}

// DecodeRecord decodes a Secret of the registry. An unreadable one, or one under the name of
// another record, gives a record without a value, which grants nothing.
func DecodeRecord(name, kind string, version uint64, data map[string][]byte) (r Record, err error) {
	r = Record{name: name, kind: kind, version: version}
	r.lock, _ = registration.LockIn(name)
	own, of := name, ""
	switch kind {
	case registration.SecretType:
		var registered registration.Registration
		if registered, err = registration.Decode(data); err == nil {
			own, of = registration.SecretName(registered.Client.ID), "client"
			r.client, r.DroppedClaims = pack(&registered.Client), registered.DroppedClaims
		}
	case registration.ResourceSecretType:
		var resource oauth2.Resource
		if resource, err = registration.DecodeResource(data); err == nil {
			own, of, r.value = registration.ResourceSecretName(resource.Identifier), "resource", compact(resource, copyResource)
		}
	case registration.IssuerSecretType:
		var issuer oauth2.TrustedIssuer
		if issuer, err = registration.DecodeIssuer(data); err == nil {
			own, of, r.value = registration.IssuerSecretName(issuer.Name), "trusted issuer", &issuer
		}
	case registration.TokenSecretType:
		var m oauth2.Minted
		if m, err = registration.DecodeToken(data); err == nil {
			own, of, r.value = registration.TokenSecretName(m.UID), "token", compact(m, copyMinted)
		}
	case registration.KeysSecretType:
		var ring keyring.Ring
		if name != registration.KeysSecretName {
			break
		}
		if ring, err = registration.DecodeKeys(data); err == nil {
			r.value = &ring
		}
	case registration.SealingSecretType:
		var sealing seal.Ring
		if name != registration.SealingSecretName {
			break
		}
		if sealing, err = registration.DecodeSealing(data); err == nil {
			r.value = &sealing
		}
	}
	if err == nil && own != name {
		r.client, r.DroppedClaims, r.value, err = packed{}, nil, nil, fmt.Errorf("%w: it is kept under the name of another %s", registration.ErrUnreadable, of)
	}
	return r, err
}

// Client returns the client of a registration; nil if it is none.
func (r Record) Client() *oauth2.Client {
	if whole := r.client.unpacked(); whole != nil {
		return &whole.client
	}
	return nil
}

// Resource returns the declared resource of a record; nil if it is none.
func (r Record) Resource() *oauth2.Resource {
	resource, _ := r.value.(*oauth2.Resource)
	return resource
}

// Issuer returns the trusted issuer of a record; nil if it is none.
func (r Record) Issuer() *oauth2.TrustedIssuer {
	issuer, _ := r.value.(*oauth2.TrustedIssuer)
	return issuer
}

// Minted returns the minted tokens of a record; nil if it has none.
func (r Record) Minted() *oauth2.Minted {
	m, _ := r.value.(*oauth2.Minted)
	return m
}

// Ring returns the signing keys of a record; nil if it has none.
func (r Record) Ring() *keyring.Ring {
	ring, _ := r.value.(*keyring.Ring)
	return ring
}

// Sealing returns the sealing keys of a record; nil if it has none.
func (r Record) Sealing() *seal.Ring {
	sealing, _ := r.value.(*seal.Ring)
	return sealing
}

// Registry is the store of the registry's Secrets.
type Registry struct {
	Resources Resources
	Issuers   Issuers
	Keys      Keys
	Sealing   Sealing

	clients half[packed]
	// epochs are the instants before which OAuth2Clients revoke their tokens, for the feed.
	// Decisions read the registration itself.
	epochs    table[revocation.Selector]
	workloads workloads
	// published are the clients for persons whose client_id is the URL of a document about
	// them.
	published  table[bool]
	minted     minted
	quarantine *quarantine
	now, past  func() time.Time
}

// ClientEpochs returns the instants before which OAuth2Clients revoke their tokens.
func (r *Registry) ClientEpochs() iter.Seq[revocation.Selector] {
	return func(yield func(revocation.Selector) bool) {
		wanted := true
		r.epochs.each(func(_ Place, epoch revocation.Selector) { wanted = wanted && yield(epoch) })
	}
}

// Learn adds the keys of a ring that was looked up, and returns all of them.
func (r *Registry) Learn(ring keyring.Ring) keyring.Ring { return r.Keys.learn(ring, r.now()) }

// Resurrected reports false: names and not UIDs identify the Secrets of the registry.
func (*Registry) Resurrected(Record) bool { return false }

// Apply stores a record.
func (r *Registry) Apply(record Record) {
	switch record.kind {
	case registration.SecretType:
		r.register(record.lock, record.client)
	case registration.ResourceSecretType:
		r.Resources.put(record.name, record.Resource())
	case registration.IssuerSecretType:
		r.Issuers.put(record.name, record.Issuer())
	case registration.TokenSecretType:
		r.mint(record)
	case registration.KeysSecretType:
		// A Secret that was made anew or restored is no instruction to refuse tokens.
		if ring := record.Ring(); ring != nil {
			r.Keys.take(*ring, r.now())
		}
	case registration.SealingSecretType:
		if sealing := record.Sealing(); sealing != nil {
			r.Sealing.learn(*sealing, r.past())
		}
	}
}

// register stores a registration, unless its name is derived from no lock.
func (r *Registry) register(lock Place, c packed) {
	if lock == (Place{}) {
		return
	}
	epoch := revocation.Selector{}
	if of := c.seldom(); of != nil && !of.Revocation.Before.IsZero() {
		epoch = revocation.Selector{ClientUID: of.UID, IssuedBefore: of.Revocation.Before}
	}
	r.workloads.move(lock, workloadOf(r.clients.get(lock)), workloadOf(c))
	r.clients.put(lock, c)
	r.published.put(lock, isPublished(c.seldom()))
	r.epochs.put(lock, epoch)
}

// isPublished reports whether a client for persons has an https URL as its client_id
// (draft-ietf-oauth-client-id-metadata-document).
func isPublished(c *oauth2.Client) bool {
	return c != nil && c.GrantTypes.Has(oauth2.AuthorizationCode) && strings.HasPrefix(c.ID, "https://")
}

// MetadataClients reports whether there is a client for persons whose client_id is an https URL.
func (r *Registry) MetadataClients() bool { return r.published.len() > 0 }

// mint stores the record of an OAuth2Token.
func (r *Registry) mint(record Record) {
	next := storedMinted{}
	if m := record.Minted(); m != nil {
		next = storedMinted{m, record.version}
		r.quarantine.written(m.UID, next.version, r.past())
	}
	r.minted.next(placeOf(record.name), next)
}

// Remove removes the record of a Secret that was deleted, but no signing keys and no sealing keys.
func (r *Registry) Remove(record Record) {
	r.register(record.lock, packed{})
	r.Resources.put(record.name, nil)
	r.Issuers.put(record.name, nil)
	r.minted.next(placeOf(record.name), storedMinted{})
}

// Replace stores a whole list. What is not listed is gone, but for signing keys and sealing keys.
func (r *Registry) Replace(list iter.Seq[Record], at restore.List) {
	if !at.Lost.IsZero() {
		r.revokeRestored(list, at.Lost)
	}
	listed := listedRecords{map[Place]bool{}, map[Place]bool{}, map[string]bool{}, map[string]bool{}}
	for record := range list {
		listed.add(record)
		if ring := record.Ring(); ring != nil && at.Saved {
			r.Learn(*ring)
		} else {
			r.Apply(record)
		}
	}
	for lock, before := range r.clients.keep(listed.clients) {
		r.workloads.move(lock, workloadOf(before), Place{})
	}
	r.epochs.keep(listed.clients)
	r.published.keep(listed.clients)
	r.Resources.keep(listed.resources)
	r.Issuers.keep(listed.issuers)
	for _, before := range r.minted.keep(listed.tokens) {
		if !at.Saved {
			r.minted.bury(before)
		}
	}
	if !at.Saved {
		r.quarantine.list(registryList{at.Version, at.Restores})
	}
}

// listedRecords are the records of a list, as the stores find them.
type listedRecords struct {
	clients, tokens    map[Place]bool
	resources, issuers map[string]bool
}

func (l listedRecords) add(record Record) {
	switch record.kind {
	case registration.SecretType:
		l.clients[record.lock] = true
	case registration.TokenSecretType:
		l.tokens[placeOf(record.name)] = true
	case registration.ResourceSecretType:
		l.resources[record.name] = true
	case registration.IssuerSecretType:
		l.issuers[record.name] = true
	}
}

// revokeRestored revokes replaced and deleted tokens that are in a restored list again.
func (r *Registry) revokeRestored(list iter.Seq[Record], lost time.Time) {
	r.quarantine.rewind()
	for record := range list {
		if m := record.Minted(); m != nil {
			r.minted.revokeForgotten(storedMinted{Minted: m}, r.minted.get(placeOf(record.name)), lost)
		}
	}
}
