// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package oauth2

import (
	"maps"
	"sync"
	"sync/atomic"
	"time"
)

// RevocationSelector takes back all that was issued before an instant, to a client or to every client of a namespace.
type RevocationSelector struct {
	// ClientID, Namespace or ClientUID says to whom; the others are empty.
	ClientID, Namespace, ClientUID string
	IssuedBefore                   time.Time
}

// CutBack is the instant before which tokens are taken back by somebody who asks for that instant at the time of asking. A time
// to come means all tokens that there are, so it is cut back to the second of asking. Tokens tell the second in which they were issued and
// no more, so that whole second counts.
func CutBack(issuedBefore, asked time.Time) time.Time {
	if end := asked.Truncate(time.Second).Add(time.Second); issuedBefore.After(end) {
		return end.UTC()
	}
	return issuedBefore.UTC()
}

// IssueAt is the instant that a new token says it was issued at, so that it is none of those that were taken back: now, or the end of
// this second if everything up to it was taken back. What was taken back for longer, nothing can be issued for.
func IssueAt(now time.Time, revokedBefore ...time.Time) (time.Time, error) {
	issuedAt := now
	for _, before := range revokedBefore {
		issuedAt = later(issuedAt, before)
	}
	if issuedAt.After(now.Add(clockSkew)) {
		return time.Time{}, &Error{
			Code: TemporarilyUnavailable, Reason: ReasonTokenRevoked, RetryAfter: revokedRetry,
			Description: "all tokens of this client are revoked until a time to come",
		}
	}
	return issuedAt, nil
}

// revokedRetry is what a client is told to wait whose tokens are revoked until a time to come: the manager cuts that back at once.
const revokedRetry = 5 * time.Second

// Revocations are what was taken back, in memory: single tokens, used assertions, and the selectors. The zero Revocations are
// empty; they may be used by several goroutines.
type Revocations struct {
	tokens, assertions RevocationSet
	arrivals           arrivals

	// selected is what objects say. quarantined is what no object says any more since a backup was restored, and may be as much as
	// there are clients.
	selected, quarantined selection
}

// Revoke takes a token back at once, in this memory alone.
func (r *Revocations) Revoke(token Revocation, now time.Time) { r.tokens.Add(token, now) }

// Revoked reports whether a token with these claims was taken back that has not expired and whose client is of that namespace.
func (r *Revocations) Revoked(claims Claims, namespace string, now time.Time) bool {
	return claims.IssuedAt.Before(r.RevokedBefore(claims.ClientID, namespace)) || r.tokens.Has(RevocationIDOf(claims.ID), now)
}

// RevokedBefore is the instant before which all tokens of a client are taken back by selectors; zero if there is none.
func (r *Revocations) RevokedBefore(clientID, namespace string) time.Time {
	return later(r.selected.before(clientID, namespace), r.quarantined.before(clientID, namespace))
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// Used reports whether an assertion was used that has not expired.
func (r *Revocations) Used(id RevocationID, now time.Time) bool { return r.assertions.Has(id, now) }

// Learn takes what a batch says. Nothing in it is ever taken back again: it goes when it expires, and not with its batch, which is
// merged with others.
func (r *Revocations) Learn(batch RevocationBatch, now time.Time) { r.learn(batch, now) }

// LearnAt does so with a batch of that version of what all replicas watch. Batches come in the order of their versions. Of one that is
// merged of others only what is news is told by the feed.
func (r *Revocations) LearnAt(version uint64, batch RevocationBatch, merged bool, now time.Time) {
	news := r.learn(batch, now)
	if !merged {
		news = batch.Tokens // this replica may have revoked them itself
	}
	r.arrivals.note(version, news)
}

// Rewind begins the feed anew if a list is of an earlier version than what was seen before it: a backup was restored.
func (r *Revocations) Rewind(version uint64) { r.arrivals.rewind(version) }

// Resume begins at a version of which memory has everything, but not when it came.
func (r *Revocations) Resume(version uint64) { r.arrivals.resume(version) }

// learn returns the tokens that are news.
func (r *Revocations) learn(batch RevocationBatch, now time.Time) (news []Revocation) {
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
func (r *Revocations) Select(name string, selector RevocationSelector) {
	r.selected.change(func(selectors map[string]RevocationSelector) bool {
		selectors[name] = selector
		return true
	})
}

// Deselect forgets the selector of an object that is gone; it is no matter if there was none.
func (r *Revocations) Deselect(name string) {
	r.selected.change(func(selectors map[string]RevocationSelector) bool {
		_, there := selectors[name]
		delete(selectors, name)
		return there
	})
}

// KeepSelected forgets the selectors of objects that are not listed.
func (r *Revocations) KeepSelected(listed map[string]bool) {
	r.selected.change(func(selectors map[string]RevocationSelector) bool {
		before := len(selectors)
		maps.DeleteFunc(selectors, func(name string, _ RevocationSelector) bool { return !listed[name] })
		return len(selectors) != before
	})
}

// Quarantine keeps selectors in force that no object says. Of two of one name the one that revokes more counts.
func (r *Revocations) Quarantine(selectors map[string]RevocationSelector) {
	if len(selectors) == 0 {
		return
	}
	r.quarantined.change(func(quarantined map[string]RevocationSelector) bool {
		for name, selector := range selectors {
			if before, there := quarantined[name]; !there || before.IssuedBefore.Before(selector.IssuedBefore) {
				quarantined[name] = selector
			}
		}
		return true
	})
}

// Quarantined are the selectors in quarantine that revoke nothing which was issued after an instant, by their names.
func (r *Revocations) Quarantined(issued time.Time) map[string]RevocationSelector {
	all := r.quarantined.all()
	maps.DeleteFunc(all, func(_ string, selector RevocationSelector) bool { return selector.IssuedBefore.After(issued) })
	return all
}

// EndQuarantine ends the quarantine of selectors that revoke nothing which was issued after an instant.
func (r *Revocations) EndQuarantine(issued time.Time) {
	r.quarantined.change(func(quarantined map[string]RevocationSelector) bool {
		before := len(quarantined)
		maps.DeleteFunc(quarantined, func(_ string, selector RevocationSelector) bool { return !selector.IssuedBefore.After(issued) })
		return len(quarantined) != before
	})
}

// Sweep drops what has expired.
func (r *Revocations) Sweep(now time.Time) {
	r.tokens.Sweep(now)
	r.assertions.Sweep(now)
}

// RevocationParts is how many parts the single revocations are told in, so that telling a million takes little memory.
const RevocationParts = 64

// Part is one of the parts of the single revocations.
func (r *Revocations) Part(i int) RevocationBatch {
	return RevocationBatch{Tokens: r.tokens.part(i, RevocationParts), Assertions: r.assertions.part(i, RevocationParts)}
}

// Selectors are those that hold, by their names.
func (r *Revocations) Selectors() map[string]RevocationSelector {
	all := r.selected.all()
	maps.Copy(all, r.quarantined.all())
	return all
}

// Len is how many tokens and used assertions are remembered.
func (r *Revocations) Len() (tokens, assertions int) { return r.tokens.Len(), r.assertions.Len() }

// selection is selectors by their names, and the instants that follow from them. Whoever asks for an instant takes no lock.
type selection struct {
	mu        sync.Mutex
	selectors map[string]RevocationSelector
	epochs    atomic.Pointer[epochs]
}

// epochs are the instants before which tokens are revoked. They are replaced whole.
type epochs struct{ byClient, byNamespace map[string]time.Time }

// before is the instant before which all tokens of a client are revoked; zero if there is none.
func (s *selection) before(clientID, namespace string) time.Time {
	known := s.epochs.Load()
	if known == nil {
		return time.Time{}
	}
	return later(known.byClient[clientID], known.byNamespace[namespace])
}

func (s *selection) all() map[string]RevocationSelector {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make(map[string]RevocationSelector, len(s.selectors))
	maps.Copy(all, s.selectors)
	return all
}

// change makes the epochs anew if a function has changed the selectors.
func (s *selection) change(change func(selectors map[string]RevocationSelector) (changed bool)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.selectors == nil {
		s.selectors = map[string]RevocationSelector{}
	}
	if !change(s.selectors) {
		return
	}
	made := &epochs{byClient: map[string]time.Time{}, byNamespace: map[string]time.Time{}}
	for _, selector := range s.selectors {
		if selector.ClientID != "" {
			made.byClient[selector.ClientID] = later(made.byClient[selector.ClientID], selector.IssuedBefore)
		} else {
			made.byNamespace[selector.Namespace] = later(made.byNamespace[selector.Namespace], selector.IssuedBefore)
		}
	}
	s.epochs.Store(made)
}
