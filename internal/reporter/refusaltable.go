// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package reporter

import (
	"strings"

	"github.com/hallpass-dev/hallpass/internal/oauth2"
	"github.com/hallpass-dev/hallpass/internal/usage"
)

const (
	// tableRefusals bounds each of the two tables of refusals.
	tableRefusals = usage.MaxRefusals / 2
	// roomyRefusals are left when a table is full, so that each search for the oldest makes
	// room for many.
	roomyRefusals = tableRefusals * 7 / 8
)

// refusalTable is a table of refusals. When it is full, the namespaces with the most entries lose
// those that were refused least recently, so that no namespace displaces entries of one that has
// fewer.
type refusalTable struct {
	entries map[refusalKey]*refusal
	// refusals counts them, which orders the entries.
	refusals int64
}

type refusalKey struct {
	client usage.Key
	reason oauth2.Reason
}

type refusal struct {
	namespace string
	count     uint64
	at        usage.Minute
	// last is the place of the last refusal in the order of all.
	last            int64
	subject, source string
}

func newRefusalTable() *refusalTable {
	return &refusalTable{entries: map[refusalKey]*refusal{}}
}

// get returns the entry of a key; it makes one if there is none.
func (t *refusalTable) get(key refusalKey, namespace string) *refusal {
	if entry := t.entries[key]; entry != nil {
		return entry
	}
	if len(t.entries) >= tableRefusals {
		t.makeRoom()
	}
	entry := &refusal{namespace: strings.Clone(namespace)}
	t.entries[key] = entry
	return entry
}

// makeRoom drops the least recent entries of the namespaces that have more than a fair share.
func (t *refusalTable) makeRoom() {
	held := make([]usage.Held[string, refusalKey], 0, len(t.entries))
	for key, entry := range t.entries {
		held = append(held, usage.Held[string, refusalKey]{Thing: key, Owner: entry.namespace, Size: 1, At: entry.last})
	}
	for _, key := range usage.Excess(held, roomyRefusals) {
		delete(t.entries, key)
	}
}

// refused notes that an entry is the most recent one.
func (t *refusalTable) refused(entry *refusal, at usage.Minute) {
	t.refusals++
	entry.at, entry.last = at, t.refusals
}
