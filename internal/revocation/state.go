// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package revocation

import (
	"maps"
	"math"
	"slices"
	"sync"
	"time"

	"github.com/hallpass-dev/hallpass/internal/oauth2"
)

// State is the memory of one process: revoked tokens, used assertions, generations of grants and
// selectors. The zero State is empty. It is safe for concurrent use.
type State struct {
	grants

	assertions usedSet
	arrivals   arrivals
	// sweeping is held while the numbers of clients must not change their meaning.
	sweeping sync.Mutex

	// selected holds the selectors of the objects that exist. quarantined holds those whose
	// objects are missing since a backup was restored; there may be one a client.
	selected, quarantined selection
}

// Revoke revokes a token of a client in this memory only, effective at once. The zero Client means
// that the token is never collapsed, and counts for nobody.
func (r *State) Revoke(token Entry, of Client, now time.Time) { r.add(token, of, now) }

// add adds a token, and reports whether it is new.
func (r *State) add(token Entry, of Client, now time.Time) (added bool) {
	if token.Client = 0; of == (Client{}) {
		return r.tokens.Add(token, now)
	}
	token.Client = r.holders.enter(token, of)
	if added = r.tokens.Add(token, now); !added {
		r.holders.leave(token)
	}
	return added
}

// Revoked reports whether a token with these claims is revoked, or the grant that it belongs to has
// ended. Its client is of a namespace.
func (r *State) Revoked(claims oauth2.Claims, namespace string, now time.Time) bool {
	before := r.RevokedBefore(claims.ClientID, namespace, claims.Person())
	return claims.IssuedAt.Before(before) || r.tokens.Has(IDOf(claims.ID), now) || claims.GrantID != "" && r.Ended(IDOf(claims.GrantID), now)
}

// RevokedBefore returns the instant before which selectors revoke all tokens of a client, or those
// that act for persons; zero if there is none. The zero Person is none.
func (r *State) RevokedBefore(clientID, namespace string, persons ...oauth2.Person) time.Time {
	client := subjectsOf(Client{clientID, namespace})
	before := oauth2.Later(r.selected.before(client), r.quarantined.before(client))
	for _, person := range persons {
		if person.IsZero() {
			continue
		}
		of := subjectsFor(person)
		before = oauth2.Later(before, oauth2.Later(r.selected.before(of), r.quarantined.before(of)))
	}
	return before
}

// Used reports whether an assertion was used and has not expired.
func (r *State) Used(id ID, now time.Time) bool { return r.assertions.set.Has(id, now) }

// Use uses up an assertion of a client of a namespace, in this memory only and effective at once.
// It is decided by now; what expired before past may be forgotten. fresh means that it was not used
// before; room, that it could be stored. Without room it must be refused.
func (r *State) Use(assertion Entry, namespace string, now, past time.Time) (fresh, room bool) {
	return r.assertions.use(assertion, namespace, now, past)
}

// Learn adds a batch. Its entries stay until they expire, even if the batch is deleted: the manager
// deletes batches that it has merged into others. It returns the tokens that are new here.
func (r *State) Learn(batch Batch, now time.Time) (news []Entry) {
	for _, token := range batch.Tokens {
		if r.add(token, batch.clientOf(token), now) {
			news = append(news, token)
		}
	}
	for _, assertion := range batch.Assertions {
		r.assertions.learn(assertion, batch.clientOf(assertion).Namespace, now)
	}
	for _, g := range batch.Generations {
		r.Advance(g, batch.client(g.Client), now)
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
func (r *State) Select(name string, selector Selector) { r.selected.set(name, selector) }

// Deselect removes the selector of a deleted object; it is a no-op if there is none.
func (r *State) Deselect(name string) { r.selected.remove(name) }

// KeepSelected removes the selectors of objects that are not listed.
func (r *State) KeepSelected(listed map[string]bool) {
	r.selected.removeIf(func(name string, _ Selector) bool { return !listed[name] })
}

// Quarantine keeps selectors in force whose objects are missing. Of two selectors of one name it
// keeps the one that revokes more.
func (r *State) Quarantine(selectors map[string]Selector) {
	quarantined := r.quarantined.all()
	for name, selector := range selectors {
		if before, there := quarantined[name]; !there || before.IssuedBefore.Before(selector.IssuedBefore) {
			r.quarantined.set(name, selector)
		}
	}
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
	r.quarantined.removeIf(func(_ string, selector Selector) bool { return !selector.IssuedBefore.After(issued) })
}

// Sweep removes expired entries, and tokens that a selector in the place of single revocations
// revokes. One that a person wrote removes no entry: a person may delete it again.
func (r *State) Sweep(now time.Time) {
	r.sweeping.Lock()
	defer r.sweeping.Unlock()
	r.holders.reclaim()
	collapsed := r.holders.each(func(of Client) uint32 { return seconds(r.selected.collapsed(of)) })
	r.tokens.sweep(func(token Entry) bool {
		return token.Expired(now) || !token.lasts() && int(token.Client) < len(collapsed) && token.IssuedAt < collapsed[token.Client]
	}, r.holders.leave)
	r.assertions.sweep(now)
	r.generations.sweep(now, func(g Generation) { r.holders.leaveGrant(g.Client) })
}

// seconds is an instant in seconds since 1970, as an Entry has it.
func seconds(at time.Time) uint32 { return uint32(min(max(at.Unix(), 0), math.MaxUint32)) }

// Parts is the number of parts that Part divides the entries into, so that writing a million of
// them takes little memory.
const Parts = 64

// Part returns one of the Parts of the entries. Its assertions have MaxClients namespaces at most;
// those of more have none.
func (r *State) Part(i int) Batch {
	r.sweeping.Lock()
	defer r.sweeping.Unlock()
	part, known := Batch{Tokens: r.tokens.part(i, Parts)}, numbers{}
	for i := range part.Tokens {
		if token := &part.Tokens[i]; token.Client != 0 {
			token.Client = known.of(r.holders.client(token.Client), &part)
		}
	}
	part.Generations = r.generations.part(i)
	for i := range part.Generations {
		if g := &part.Generations[i]; g.Client != 0 {
			g.Client = known.of(r.holders.client(g.Client), &part)
		}
	}
	r.assertions.part(i, &part)
	return part
}

// Selectors returns the selectors in force by name, those in quarantine included.
func (r *State) Selectors() map[string]Selector {
	all := r.selected.all()
	maps.Copy(all, r.quarantined.all())
	return all
}

// Epochs returns the instants before which selectors revoke all tokens of a client or a namespace.
func (r *State) Epochs() []Selector {
	return slices.AppendSeq(slices.Collect(r.selected.effective()), r.quarantined.effective())
}

// Len returns the number of revoked tokens and of used assertions in memory.
func (r *State) Len() (tokens, assertions int) { return r.tokens.Len(), r.assertions.set.Len() }
