// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package memory

import (
	"maps"
	"sync"
	"time"

	"github.com/hallpass-dev/hallpass/internal/restore"
)

const (
	// tombstoneLifetime is for how long at least a tombstone is kept, and so how old a backup may
	// be.
	tombstoneLifetime = 24 * time.Hour
	// maxTombstones bounds their number, at some fifty bytes each: the oldest are dropped sooner.
	maxTombstones = 100_000
)

// tombstones are objects that were deleted or are terminating. A UID is never given twice and no
// deletion is undone, so a resurrected object proves that etcd was restored, whatever the
// resourceVersions are.
type tombstones struct {
	mu sync.Mutex
	// young and old are two generations, which avoids a search for the oldest. They map to the
	// instant of a tombstone in Unix nanoseconds.
	young, old map[Place]int64
	begun      time.Time
}

// identity is the hash of what an object is and remains.
func identity(resource string, place Place, uid string) Place {
	return placeOf(resource + "\x00" + string(place[:]) + uid)
}

// tokenIdentity is the identity of a token that is on record.
func tokenIdentity(tokenID string) Place { return placeOf("minted\x00" + tokenID) }

// add records that an object is gone.
func (t *tombstones) add(object Place, now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if _, known := t.instant(object); known {
		return
	}
	if t.young == nil || len(t.young) >= maxTombstones/2 || now.Sub(t.begun) > tombstoneLifetime {
		t.old, t.young, t.begun = t.young, map[Place]int64{}, now
	}
	t.young[object] = now.UnixNano()
}

// instant returns the instant of a tombstone to a caller that holds the lock.
func (t *tombstones) instant(object Place) (at int64, known bool) {
	if at, known = t.young[object]; !known {
		at, known = t.old[object]
	}
	return at, known
}

// state returns Deleted if an object had a tombstone at an instant, and Unknown otherwise.
func (t *tombstones) state(object Place, when time.Time) restore.State {
	t.mu.Lock()
	defer t.mu.Unlock()
	if at, known := t.instant(object); known && at <= when.UnixNano() {
		return restore.Deleted
	}
	return restore.Unknown
}

// has reports whether an object has a tombstone.
func (t *tombstones) has(object Place) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	_, known := t.instant(object)
	return known
}

// remove removes the tombstone of an object that is there.
func (t *tombstones) remove(object Place) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.young, object)
	delete(t.old, object)
}

// all returns a copy of the tombstones.
func (t *tombstones) all() map[Place]int64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	list := make(map[Place]int64, len(t.old)+len(t.young))
	maps.Copy(list, t.old)
	maps.Copy(list, t.young)
	return list
}

// load adds the tombstones of a snapshot.
func (t *tombstones) load(list map[Place]int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(list) > 0 {
		t.old = list
	}
}
