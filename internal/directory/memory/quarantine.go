// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package memory

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/hallpass-dev/hallpass/internal/oauth2"
)

// What was denied before etcd was restored stays denied although no object says so: tokens that were issued until then, in
// revocation.State, and OAuth2Tokens, here. A whole cluster may be in quarantine, so each step is linear in it, and requests take none
// of its locks.

const (
	// quarantineTime is how long a selector stays in quarantine: until every JWT that was issued before it has expired.
	quarantineTime = oauth2.MaxTokenLifetime + time.Hour
	// quarantinePrefix begins the names of selectors in quarantine. Names of objects have no slash.
	quarantinePrefix = "restored/"
	// newMargin is how much older than what was known last an object may be and still be new: clocks differ, and events take time.
	// An older object that is not known was deleted before. A younger one was made since.
	newMargin = 5 * time.Minute
)

// madeSince reports whether an object that memory does not know was made after memory was up to date, rather than deleted by then.
func madeSince(created, known time.Time) bool { return created.After(known.Add(-newMargin)) }

// quarantined is an OAuth2Token in quarantine.
type quarantined struct {
	// until is when its quarantine ends. That of a Fixed one, whose tokens may live for months, has no end.
	until time.Time
	// since is the resourceVersion of the first list of the registry after the restore was noticed: a record of a later version was
	// written anew. Before that list it is zero.
	since uint64
}

// ended reports whether a quarantine is over for a record of a version.
func (q quarantined) ended(version uint64, now time.Time) bool {
	return q.since != 0 && version > q.since || !q.until.IsZero() && !now.Before(q.until)
}

// quarantine is the OAuth2Tokens in quarantine, by UID.
type quarantine struct {
	sync.Map

	listed atomic.Pointer[registryList]
}

// registryList is the last list of the registry: its resourceVersion, and how many restores were noticed by then.
type registryList struct {
	version  uint64
	restores int64
}

func (q *quarantine) of(uid string) (held quarantined, isHeld bool) {
	value, _ := q.Load(uid)
	held, isHeld = value.(quarantined)
	return held, isHeld
}

// listedAfter returns the version of the last list of the registry if it was listed after so many restores, and zero otherwise.
func (q *quarantine) listedAfter(restores int64) uint64 {
	if last := q.listed.Load(); last != nil && last.restores == restores {
		return last.version
	}
	return 0
}

// refused returns an OAuth2Token as terminating if it is in quarantine.
func (q *quarantine) refused(owner *oauth2.MintedOwner, version uint64, now time.Time) *oauth2.MintedOwner {
	if owner == nil {
		return nil
	}
	if held, isHeld := q.of(owner.UID); !isHeld || held.ended(version, now) {
		return owner
	}
	return mintedOwner{owner}.refused().MintedOwner
}

// written ends the quarantine of an OAuth2Token whose record was written anew.
func (q *quarantine) written(uid string, version uint64, now time.Time) {
	if held, isHeld := q.of(uid); isHeld && held.ended(version, now) {
		q.Delete(uid)
	}
}

// rewind forgets after which version a record is written anew: the registry was restored once more.
func (q *quarantine) rewind() { q.setSince(func(quarantined) bool { return true }, 0) }

// list records that the registry was listed.
func (q *quarantine) list(at registryList) {
	q.listed.Store(&at)
	q.setSince(func(held quarantined) bool { return held.since == 0 }, at.version)
}

func (q *quarantine) setSince(applies func(quarantined) bool, version uint64) {
	for uid, held := range q.all() {
		if applies(held) {
			held.since = version
			q.Store(uid, held)
		}
	}
}

// end ends the quarantine of the OAuth2Tokens whose JWTs have expired.
func (q *quarantine) end(now time.Time) {
	for uid, held := range q.all() {
		if held.ended(0, now) {
			q.Delete(uid)
		}
	}
}

// all returns what is in quarantine, by UID.
func (q *quarantine) all() map[string]quarantined {
	all := map[string]quarantined{}
	q.Range(func(uid, value any) bool {
		text, isText := uid.(string)
		if held, ok := value.(quarantined); ok && isText {
			all[text] = held
		}
		return true
	})
	return all
}
