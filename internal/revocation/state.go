// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package revocation

import (
	"maps"
	"time"

	"github.com/hallpass-dev/hallpass/internal/oauth2"
)

// State is the memory of one process: revoked tokens, used assertions and selectors. The zero State
// is empty. It is safe for concurrent use.
type State struct {
	tokens, assertions Set
	arrivals           arrivals

	// selected holds the selectors of the objects that exist. quarantined holds those whose objects
	// are missing since a backup was restored; there may be one a client.
	selected, quarantined selection
}

// Revoke revokes a token in this memory only, effective at once.
func (r *State) Revoke(token Entry, now time.Time) { r.tokens.Add(token, now) }

// Revoked reports whether a token with these claims is revoked, whose client is of a namespace.
func (r *State) Revoked(claims oauth2.Claims, namespace string, now time.Time) bool {
	return claims.IssuedAt.Before(r.RevokedBefore(claims.ClientID, namespace)) || r.tokens.Has(IDOf(claims.ID), now)
}

// RevokedBefore returns the instant before which selectors revoke all tokens of a client; zero if
// there is none.
func (r *State) RevokedBefore(clientID, namespace string) time.Time {
	return oauth2.Later(r.selected.before(clientID, namespace), r.quarantined.before(clientID, namespace))
}

// Used reports whether an assertion was used and has not expired.
func (r *State) Used(id ID, now time.Time) bool { return r.assertions.Has(id, now) }

// Learn adds a batch. Its entries stay until they expire, even if the batch is deleted: the manager
// deletes batches that it has merged into others. It returns the tokens that are new here.
func (r *State) Learn(batch Batch, now time.Time) (news []Entry) {
	for _, token := range batch.Tokens {
		if r.tokens.Add(token, now) {
			news = append(news, token)
		}
	}
	for _, assertion := range batch.Assertions {
		r.assertions.Add(assertion, now)
	}
	return news
}

// LearnAt adds a batch with the version under which all replicas see it. Batches arrive in the
// order of their versions. Of a merged batch the feed lists only the tokens that are new here.
func (r *State) LearnAt(version uint64, batch Batch, merged bool, now time.Time) {
	news := r.Learn(batch, now)
	if !merged {
		news = batch.Tokens // this replica may have revoked them itself
	}
	r.arrivals.note(version, news)
}

// Rewind restarts the feed if a list has an earlier version than what was seen before: a backup was
// restored.
func (r *State) Rewind(version uint64) { r.arrivals.rewind(version) }

// Resume begins the feed at a version whose batches are all in memory, but not in order of arrival.
func (r *State) Resume(version uint64) { r.arrivals.resume(version) }

// Select adds the selector of the object with a name.
func (r *State) Select(name string, selector Selector) {
	r.selected.change(func(selectors map[string]Selector) bool {
		selectors[name] = selector
		return true
	})
}

// Deselect removes the selector of a deleted object; it is a no-op if there is none.
func (r *State) Deselect(name string) {
	r.selected.remove(func(selected string, _ Selector) bool { return selected == name })
}

// KeepSelected removes the selectors of objects that are not listed.
func (r *State) KeepSelected(listed map[string]bool) {
	r.selected.remove(func(name string, _ Selector) bool { return !listed[name] })
}

// Quarantine keeps selectors in force whose objects are missing. Of two selectors of one name it
// keeps the one that revokes more.
func (r *State) Quarantine(selectors map[string]Selector) {
	if len(selectors) == 0 {
		return
	}
	r.quarantined.change(func(quarantined map[string]Selector) bool {
		for name, selector := range selectors {
			if before, there := quarantined[name]; !there || before.IssuedBefore.Before(selector.IssuedBefore) {
				quarantined[name] = selector
			}
		}
		return true
	})
}

// Quarantined returns, by name, the quarantined selectors that revoke nothing issued after an
// instant.
func (r *State) Quarantined(issued time.Time) map[string]Selector {
	all := r.quarantined.all()
	maps.DeleteFunc(all, func(_ string, selector Selector) bool { return selector.IssuedBefore.After(issued) })
	return all
}

// EndQuarantine removes the quarantined selectors that revoke nothing issued after an instant.
func (r *State) EndQuarantine(issued time.Time) {
	r.quarantined.remove(func(_ string, selector Selector) bool { return !selector.IssuedBefore.After(issued) })
}

// Sweep removes expired entries.
func (r *State) Sweep(now time.Time) {
	r.tokens.Sweep(now)
	r.assertions.Sweep(now)
}

// Parts is the number of parts that Part divides the entries into, so that writing a million of
// them takes little memory.
const Parts = 64

// Part returns one of the Parts of the entries.
func (r *State) Part(i int) Batch {
	return Batch{Tokens: r.tokens.part(i, Parts), Assertions: r.assertions.part(i, Parts)}
}

// Selectors returns the selectors in force by name, those in quarantine included.
func (r *State) Selectors() map[string]Selector {
	all := r.selected.all()
	maps.Copy(all, r.quarantined.all())
	return all
}

// Len returns the number of revoked tokens and of used assertions in memory.
func (r *State) Len() (tokens, assertions int) { return r.tokens.Len(), r.assertions.Len() }
