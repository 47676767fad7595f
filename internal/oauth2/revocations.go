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

	mu        sync.Mutex
	selectors map[string]RevocationSelector
	epochs    atomic.Pointer[epochs]
}

// epochs are the instants before which tokens are taken back. They are replaced whole.
type epochs struct{ byClient, byNamespace map[string]time.Time }

// Revoke takes a token back at once, in this memory alone.
func (r *Revocations) Revoke(token Revocation, now time.Time) { r.tokens.Add(token, now) }

// Revoked reports whether a token with these claims was taken back that has not expired and whose client is of that namespace.
func (r *Revocations) Revoked(claims Claims, namespace string, now time.Time) bool {
	return claims.IssuedAt.Before(r.RevokedBefore(claims.ClientID, namespace)) || r.tokens.Has(RevocationIDOf(claims.ID), now)
}

// RevokedBefore is the instant before which all tokens of a client are taken back by selectors; zero if there is none.
func (r *Revocations) RevokedBefore(clientID, namespace string) time.Time {
	known := r.epochs.Load()
	if known == nil {
		return time.Time{}
	}
	return later(known.byClient[clientID], known.byNamespace[namespace])
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
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.selectors == nil {
		r.selectors = map[string]RevocationSelector{}
	}
	r.selectors[name] = selector
	r.rebuild()
}

// Deselect forgets the selector of an object that is gone; it is no matter if there was none.
func (r *Revocations) Deselect(name string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, there := r.selectors[name]; there {
		delete(r.selectors, name)
		r.rebuild()
	}
}

// KeepSelected forgets the selectors of objects that are not listed.
func (r *Revocations) KeepSelected(listed map[string]bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	before := len(r.selectors)
	for name := range r.selectors {
		if !listed[name] {
			delete(r.selectors, name)
		}
	}
	if len(r.selectors) != before {
		r.rebuild()
	}
}

// rebuild makes the epochs anew. Selectors are made by people, so there are few.
func (r *Revocations) rebuild() {
	made := &epochs{byClient: map[string]time.Time{}, byNamespace: map[string]time.Time{}}
	for _, s := range r.selectors {
		if s.ClientID != "" {
			made.byClient[s.ClientID] = later(made.byClient[s.ClientID], s.IssuedBefore)
		} else {
			made.byNamespace[s.Namespace] = later(made.byNamespace[s.Namespace], s.IssuedBefore)
		}
	}
	r.epochs.Store(made)
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

// Selectors are those that hold, by the names of their objects.
func (r *Revocations) Selectors() map[string]RevocationSelector {
	r.mu.Lock()
	defer r.mu.Unlock()
	return maps.Clone(r.selectors)
}

// Len is how many tokens and used assertions are remembered.
func (r *Revocations) Len() (tokens, assertions int) { return r.tokens.Len(), r.assertions.Len() }
