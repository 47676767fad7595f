// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

// Package memory holds the state of a token server: clients and their owners, resources, minted
// tokens, signing keys, revocations and tombstones. It has a store for each watch, with Apply,
// Remove and Replace. It does not depend on Kubernetes: package directory passes it the values.
//
// Values are immutable and replaced as a whole. Each map has a lock of its own, held for one read,
// one change or a burst of changes, and never while another lock is acquired.
package memory

import (
	"sync/atomic"
	"time"

	"github.com/hallpass-dev/hallpass/internal/oauth2"
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
	// restored is when a restore was noticed here last; nil if none was.
	restored atomic.Pointer[time.Time]
	now      func() time.Time
	// past is an instant that is over for certain: what expired by then is forgotten.
	past func() time.Time
}

// New returns an empty Memory with a clock, by which it decides, and one by which it forgets.
func New(now, past func() time.Time) *Memory {
	m := &Memory{now: now, past: past, tombstones: tombstones{past: past}}
	m.Revocations.past = past
	revoked := &m.Revocations.State
	m.Clients = Clients{objects[packedOwner]{resourceClients, half[packedOwner]{&m.records, ownerOf}, &m.tombstones, now}, revoked}
	m.Tokens.objects = objects[mintedOwner]{resourceTokens, &m.Tokens.owners, &m.tombstones, now}
	m.Tokens.minted = &m.Registry.minted
	m.Registry.clients = half[packed]{&m.records, clientOf}
	m.Registry.quarantine, m.Registry.now, m.Registry.past = &m.Tokens.quarantine, now, past
	m.Registry.minted.tombstones, m.Registry.minted.revoked, m.Registry.minted.past = &m.tombstones, revoked, past
	return m
}

// Record returns what is known about a client_id.
func (m *Memory) Record(clientID string) oauth2.Record { return m.records.find(clientID) }

// Trust returns who issues the tokens of service accounts.
func (m *Memory) Trust() oauth2.Cluster {
	if trust := m.trust.Load(); trust != nil {
		return trust.Cluster
	}
	return oauth2.Cluster{}
}

// SetTrust stores who issues the tokens of service accounts, as it was read last.
func (m *Memory) SetTrust(trust *Trust) { m.trust.Store(trust) }

// NoteRestored records that it was noticed at an instant that the store was restored from a backup.
func (m *Memory) NoteRestored(at time.Time) {
	for {
		before := m.restored.Load()
		if at.IsZero() || before != nil && !at.After(*before) || m.restored.CompareAndSwap(before, &at) {
			return
		}
	}
}

// RestoredBefore returns the instant before which all grants of persons are over, because the store
// was restored from a backup then: what a grant had used up or ended is forgotten. It is when this
// process or a manager noticed it; zero if there was no restore.
func (m *Memory) RestoredBefore() time.Time {
	before := m.Registry.Sealing.Ring().Restored()
	if noticed := m.restored.Load(); noticed != nil {
		return oauth2.Later(before, *noticed)
	}
	return before
}

// Sweep removes expired entries.
func (m *Memory) Sweep() { m.Revocations.State.Sweep(m.past()) }

// Release ends the quarantines that are over. Opaque tokens may live longer, so all of their
// records must be known.
func (m *Memory) Release() {
	m.Tokens.quarantine.end(m.past())
	issued := m.past().Add(-quarantineTime)
	if ending := m.Revocations.State.Quarantined(issued); len(ending) > 0 {
		m.Registry.minted.revokeOpaque(ending)
		m.Revocations.State.EndQuarantine(issued)
	}
}
