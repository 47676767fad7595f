// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package reporter

import (
	"strings"
	"sync"
	"time"

	"github.com/hallpass-dev/hallpass/internal/oauth2"
	"github.com/hallpass-dev/hallpass/internal/usage"
)

const keepRefusals = usage.Minute(usage.KeepRefusals / time.Minute)

// Refusals counts what was refused to clients, by client and reason. Its tables are bounded, and
// are apart from that of uses. Note is safe for concurrent use, and takes as long for an unknown
// client, of which nothing is reported.
type Refusals struct {
	mu sync.Mutex
	// proven are refusals that only a caller with the client's credential can cause. Any caller
	// that knows a client_id can cause the others, which displace none of these.
	proven, others *refusalTable
}

// NewRefusals returns an empty table.
func NewRefusals() *Refusals {
	return &Refusals{proven: newRefusalTable(), others: newRefusalTable()}
}

// Note stores a refusal. Its subject and source are stored once a minute, so that a flood costs a
// count.
func (t *Refusals) Note(r oauth2.Refused) {
	if r.Client == "" {
		r.Client = oauth2.DecoyUID
	}
	key, minute := refusalKey{usage.KeyOf(r.Client), r.Reason}, usage.MinuteOf(r.At)
	if minute == 0 || r.Reason == "" || !usage.Printable(string(r.Reason), usage.MaxReason) {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	table := t.others
	if r.Reason.ProvesCaller() {
		table = t.proven
	}
	entry := table.get(key, r.Namespace)
	entry.count++
	if entry.at >= minute {
		return
	}
	table.refused(entry, minute)
	entry.subject, entry.source = "", ""
	if usage.Printable(r.Subject, usage.MaxSubject) {
		entry.subject = strings.Clone(r.Subject)
	}
	if usage.Printable(r.Source, usage.MaxSource) {
		entry.source = strings.Clone(r.Source)
	}
}

// Entries returns all refusals, sorted. It forgets old ones.
func (t *Refusals) Entries(now usage.Minute) []usage.Refusal {
	t.mu.Lock()
	defer t.mu.Unlock()
	entries := make([]usage.Refusal, 0, len(t.proven.entries)+len(t.others.entries))
	for _, table := range []*refusalTable{t.proven, t.others} {
		for key, e := range table.entries {
			if now > keepRefusals && e.at < now-keepRefusals {
				delete(table.entries, key)
				continue
			}
			if key.client == (usage.Key{}) { // of oauth2.DecoyUID
				continue
			}
			entries = append(entries, usage.Refusal{
				Key: key.client, Reason: string(key.reason), Namespace: e.namespace, Count: e.count, At: e.at, Subject: e.subject, Source: e.source,
			})
		}
	}
	usage.SortRefusals(entries)
	return entries
}
