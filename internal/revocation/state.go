// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package revocation

import (
	"maps"
	"time"

	"github.com/hallpass-dev/hallpass/internal/oauth2"
)

// State is what is revoked, in memory: single tokens, used assertions, and the selectors. The zero State is empty; several goroutines may
// use it.
type State struct {
	tokens, assertions Set
	arrivals           arrivals

	// selected is what objects say. quarantined is what no object says any more since a backup was restored, and may be as much as
	// there are clients.
	selected, quarantined selection
}

// Revoke takes a token back at once, in this memory alone.
func (r *State) Revoke(token Entry, now time.Time) { r.tokens.Add(token, now) }

// Revoked reports whether a token with these claims was taken back that has not expired and whose client is of that namespace.
func (r *State) Revoked(claims oauth2.Claims, namespace string, now time.Time) bool {
	return claims.IssuedAt.Before(r.RevokedBefore(claims.ClientID, namespace)) || r.tokens.Has(IDOf(claims.ID), now)
}

// RevokedBefore is the instant before which all tokens of a client are taken back by selectors; zero if there is none.
func (r *State) RevokedBefore(clientID, namespace string) time.Time {
	return later(r.selected.before(clientID, namespace), r.quarantined.before(clientID, namespace))
}

// Used reports whether an assertion was used that has not expired.
func (r *State) Used(id ID, now time.Time) bool { return r.assertions.Has(id, now) }

// Learn takes what a batch says. Nothing in it is ever taken back again: it goes when it expires, and not with its batch, which is
// merged with others.
func (r *State) Learn(batch Batch, now time.Time) { r.learn(batch, now) }

// LearnAt does so with a batch of that version of what all replicas watch. Batches come in the order of their versions. Of one that is
// merged of others only what is news is told by the feed.
func (r *State) LearnAt(version uint64, batch Batch, merged bool, now time.Time) {
	news := r.learn(batch, now)
	if !merged {
		news = batch.Tokens // this replica may have revoked them itself
	}
	r.arrivals.note(version, news)
}

// Rewind begins the feed anew if a list is of an earlier version than what was seen before it: a backup was restored.
func (r *State) Rewind(version uint64) { r.arrivals.rewind(version) }

// Resume begins at a version of which memory has everything, but not when it came.
func (r *State) Resume(version uint64) { r.arrivals.resume(version) }

// learn returns the tokens that are news.
func (r *State) learn(batch Batch, now time.Time) (news []Entry) {
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

// Select takes a selector under the name of the object that says it.
func (r *State) Select(name string, selector Selector) {
	r.selected.change(func(selectors map[string]Selector) bool {
		selectors[name] = selector
		return true
	})
}

// Deselect forgets the selector of an object that is gone; it is no matter if there was none.
func (r *State) Deselect(name string) {
	r.selected.change(func(selectors map[string]Selector) bool {
		_, there := selectors[name]
		delete(selectors, name)
		return there
	})
}

// KeepSelected forgets the selectors of objects that are not listed.
func (r *State) KeepSelected(listed map[string]bool) {
	r.selected.change(func(selectors map[string]Selector) bool {
		before := len(selectors)
		maps.DeleteFunc(selectors, func(name string, _ Selector) bool { return !listed[name] })
		return len(selectors) != before
	})
}

// Quarantine keeps selectors in force that no object says. Of two of one name the one that revokes more counts.
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

// Quarantined are the selectors in quarantine that revoke nothing which was issued after an instant, by their names.
func (r *State) Quarantined(issued time.Time) map[string]Selector {
	all := r.quarantined.all()
	maps.DeleteFunc(all, func(_ string, selector Selector) bool { return selector.IssuedBefore.After(issued) })
	return all
}

// EndQuarantine ends the quarantine of selectors that revoke nothing which was issued after an instant.
func (r *State) EndQuarantine(issued time.Time) {
	r.quarantined.change(func(quarantined map[string]Selector) bool {
		before := len(quarantined)
		maps.DeleteFunc(quarantined, func(_ string, selector Selector) bool { return !selector.IssuedBefore.After(issued) })
		return len(quarantined) != before
	})
}

// Sweep drops what has expired.
func (r *State) Sweep(now time.Time) {
	r.tokens.Sweep(now)
	r.assertions.Sweep(now)
}

// Parts is how many parts the single revocations are told in, so that telling a million takes little memory.
const Parts = 64

// Part is one of the parts of the single revocations.
func (r *State) Part(i int) Batch {
	return Batch{Tokens: r.tokens.part(i, Parts), Assertions: r.assertions.part(i, Parts)}
}

// Selectors are those that hold, by their names.
func (r *State) Selectors() map[string]Selector {
	all := r.selected.all()
	maps.Copy(all, r.quarantined.all())
	return all
}

// Len is how many tokens and used assertions are remembered.
func (r *State) Len() (tokens, assertions int) { return r.tokens.Len(), r.assertions.Len() }
