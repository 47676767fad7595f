// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package memory

import (
	"cmp"
	"iter"
	"slices"
	"strings"
	"time"

	"github.com/hallpass-dev/hallpass/internal/restore"
	"github.com/hallpass-dev/hallpass/internal/revocation"
)

// Revocation is a TokenRevocation. An unreadable one leaves the selector of its name in place.
type Revocation struct {
	Name     string
	Version  uint64
	Selector *revocation.Selector
	// Redeemed is the client of a redemption; nil if it is none.
	Redeemed   *revocation.Client
	Batch      revocation.Batch
	WrittenAt  time.Time // of a batch that a token server wrote; a merged batch has none
	Unreadable bool
}

// Revocations is the store of TokenRevocations.
type Revocations struct {
	State revocation.State
	// Redemptions are counted alone: the name of an object is what a code is used up by.
	Redemptions revocation.Redemptions

	past func() time.Time
	// saved are the revoked tokens and used assertions of a snapshot, until a list was stored.
	saved []revocation.Batch
}

// Resurrected reports false: a TokenRevocation that is there again only denies.
func (*Revocations) Resurrected(Revocation) bool { return false }

// Apply lets a TokenRevocation take effect.
func (r *Revocations) Apply(read Revocation) {
	if read.Unreadable {
		return
	}
	if read.Redeemed != nil {
		r.Redemptions.Add(read.Name, *read.Redeemed)
	}
	if read.Selector != nil {
		r.State.Select(read.Name, *read.Selector)
	}
	r.State.LearnAt(read.Version, read.Batch, read.WrittenAt.IsZero(), r.past())
}

// Remove removes a selector, or a redemption. The entries of a batch stay until they expire: the
// manager deletes batches that it has merged into others.
func (r *Revocations) Remove(read Revocation) {
	r.State.Deselect(read.Name)
	r.Redemptions.Remove(read.Name)
}

// Replace stores a whole list. Selectors that are not listed are gone.
func (r *Revocations) Replace(list iter.Seq[Revocation], at restore.List) {
	if !at.Lost.IsZero() {
		r.quarantine(list)
	}
	known, _ := r.State.Len()
	if at.Saved {
		r.State.Resume(at.Version)
	} else if at.Version != 0 {
		r.State.Rewind(at.Version)
	}
	listed := map[string]bool{}
	// A list is in the order of names, and the feed in that of versions.
	for _, read := range slices.SortedFunc(list, func(a, b Revocation) int { return cmp.Compare(a.Version, b.Version) }) {
		listed[read.Name] = true
		r.Apply(read)
	}
	r.State.KeepSelected(listed)
	r.Redemptions.Keep(listed)
	if known+len(r.saved) > 0 && !at.Saved {
		// A merged batch may have tokens that were known here, but not listed in the feed
		// yet.
		r.State.Resume(at.Version)
	}
	for _, batch := range r.saved {
		r.State.Learn(batch, r.past())
	}
	r.saved = nil
}

// quarantine quarantines selectors that are gone or revoke less than before.
func (r *Revocations) quarantine(list iter.Seq[Revocation]) {
	listed := map[string]revocation.Selector{}
	for read := range list {
		if read.Selector != nil && !read.Unreadable {
			listed[read.Name] = *read.Selector
		}
	}
	quarantined := map[string]revocation.Selector{}
	for name, selector := range r.State.Selectors() {
		if now, there := listed[name]; !isQuarantined(name) && (!there || now.IssuedBefore.Before(selector.IssuedBefore)) {
			quarantined[quarantinePrefix+name] = selector
		}
	}
	r.State.Quarantine(quarantined)
}

func isQuarantined(name string) bool { return strings.HasPrefix(name, quarantinePrefix) }
