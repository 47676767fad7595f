// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

// Package memory holds what the token server knows: clients, their owners, resources, minted tokens, signing keys, what is revoked, and
// what is remembered of deleted objects. It has a store for each watch, with Apply, Remove and Replace, and answers from memory alone. It
// knows no Kubernetes: package watch brings the values, and package directory connects the two.
//
// Every value is immutable and is replaced as a whole. Each map has a lock of its own, which is held for one look, one change, or a
// burst of them. No lock is held while another one is taken.
package memory

import (
	"sync/atomic"
	"time"

	"github.com/hallpass-dev/hallpass/internal/keyring"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
	"github.com/hallpass-dev/hallpass/internal/revocation"
)

// The resources of the custom resources that own records. Tombstones contain them.
const (
	resourceClients = "oauth2clients"
	resourceTokens  = "oauth2tokens"
)

// Memory is what a token server knows: a store for each watch, and what no watch brings.
type Memory struct {
	Registry    Registry
	Clients     Clients
	Tokens      Tokens
	Revocations Revocations

	records    records
	tombstones tombstones
	trust      atomic.Pointer[Trust]
	now        func() time.Time
}

// New returns an empty Memory with a clock.
func New(now func() time.Time) *Memory {
	m := &Memory{now: now}
	m.Revocations.now = now
	revoked := &m.Revocations.state
	m.Clients = Clients{objects[packedOwner]{resourceClients, half[packedOwner]{&m.records, ownerOf}, &m.tombstones, now}, revoked}
	m.Tokens.objects = objects[mintedOwner]{resourceTokens, &m.Tokens.owners, &m.tombstones, now}
	m.Tokens.minted = &m.Registry.minted
	m.Registry.clients = half[packed]{&m.records, clientOf}
	m.Registry.quarantine, m.Registry.now = &m.Tokens.quarantine, now
	m.Registry.minted.tombstones, m.Registry.minted.revoked, m.Registry.minted.now = &m.tombstones, revoked, now
	return m
}

// Record returns what is known about a client_id.
func (m *Memory) Record(clientID string) oauth2.Record { return m.records.find(clientID) }

// Minted returns what is known about the OAuth2Token whose opaque tokens have an id.
func (m *Memory) Minted(opaqueID string) oauth2.MintedRecord { return m.Tokens.find(opaqueID) }

// Resource returns the declared resource of a name; nil if there is none.
func (m *Memory) Resource(name oauth2.ObjectName) *oauth2.Resource {
	return m.Registry.resources.named(name)
}

// ResourceByIdentifier returns the declared resource of an identifier; nil if there is none.
func (m *Memory) ResourceByIdentifier(identifier string) *oauth2.Resource {
	return m.Registry.resources.identified(identifier)
}

// Ring returns the signing keys.
func (m *Memory) Ring() keyring.Ring { return m.Registry.keys.get() }

// LearnRing adds the keys of a ring that was looked up, and returns all of them.
func (m *Memory) LearnRing(ring keyring.Ring) keyring.Ring {
	return m.Registry.keys.learn(ring, m.now())
}

// ClientEpochs returns the instants before which OAuth2Clients revoke their tokens.
func (m *Memory) ClientEpochs() (epochs []revocation.Selector) {
	m.Registry.epochs.each(func(_ Place, epoch revocation.Selector) { epochs = append(epochs, epoch) })
	return epochs
}

// Revoked returns what is revoked.
func (m *Memory) Revoked() *revocation.State { return &m.Revocations.state }

// Trust returns who issues the tokens of service accounts.
func (m *Memory) Trust() oauth2.Cluster {
	if trust := m.trust.Load(); trust != nil {
		return trust.Cluster
	}
	return oauth2.Cluster{}
}

// SetTrust stores who issues the tokens of service accounts, as it was read last.
func (m *Memory) SetTrust(trust *Trust) { m.trust.Store(trust) }

// Release ends what was in quarantine for long enough. All records of opaque tokens must be known: they may live for longer.
func (m *Memory) Release() {
	m.Tokens.quarantine.end(m.now())
	issued := m.now().Add(-quarantineTime)
	if ending := m.Revoked().Quarantined(issued); len(ending) > 0 {
		m.Registry.minted.revokeOpaque(ending)
		m.Revoked().EndQuarantine(issued)
	}
}
