// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package memory

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/hallpass-dev/hallpass/internal/oauth2"
)

// After a restore of etcd, denials from before stay in force without their objects: those of issued
// tokens in revocation.State, those of OAuth2Tokens here. A whole cluster may be quarantined, so
// each step is linear in its size.

const (
	// quarantineTime is how long a selector is quarantined: until all JWTs from before have
	// expired.
	quarantineTime = oauth2.MaxTokenLifetime + time.Hour
	// quarantinePrefix begins the names of selectors in quarantine. Names of objects have no
	// slash.
	quarantinePrefix = "restored/"
	// newMargin is how much older than the last contact a new object may be: clocks differ, and
	// events take time. An unknown object that is older was deleted before.
	newMargin = 5 * time.Minute
)

// madeSince reports whether an unknown object was created after memory was up to date, and not
// deleted before.
func madeSince(created, known time.Time) bool { return created.After(known.Add(-newMargin)) }

// quarantined is an OAuth2Token in quarantine.
type quarantined struct {
	// until is when the quarantine ends; zero for a Fixed one, whose tokens may live for
	// months.
	until time.Time
	// since is the resourceVersion of the first list of the registry after the restore; zero
	// before it. A record of a later version was written anew.
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

// registryList is the last list of the registry, and how many restores were noticed by then.
type registryList struct {
	version  uint64
	restores int64
}

func (q *quarantine) of(uid string) (held quarantined, isHeld bool) {
	value, _ := q.Load(uid)
	held, isHeld = value.(quarantined)
	return held, isHeld
}

// listedAfter returns the version of the last list of the registry; zero if it is from before the
// last of so many restores.
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
	return mintedOwner{MintedOwner: owner}.refused().MintedOwner
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
