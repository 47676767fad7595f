// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package memory

import (
	"crypto/sha256"
	"maps"
	"sync"
	"time"

	"github.com/hallpass-dev/hallpass/internal/restore"
	"github.com/hallpass-dev/hallpass/internal/usage"
)

const (
	// tombstoneLifetime is for how long at least a tombstone is kept, and so how old a backup
	// may be. It is elapsed time: see apiclock.Clock.Forgotten.
	tombstoneLifetime = 24 * time.Hour
	// maxTombstones bounds their number, at some sixty bytes each: the namespaces with the most
	// lose their oldest sooner.
	maxTombstones = 100_000
	// roomyTombstones is how many are left then, so that each search for them makes room for
	// many.
	roomyTombstones = maxTombstones * 7 / 8
)

// Tenant is the hash of a namespace. It takes no memory in an owner, where it fills the padding
// after the UID, and it is too long for a search for a namespace that has the hash of another one.
type Tenant [7]byte

// TenantOf returns the hash of a namespace.
func TenantOf(namespace string) Tenant {
	sum := sha256.Sum256([]byte(namespace))
	return Tenant(sum[:len(Tenant{})])
}

// Deletions is how many deletions were recorded at a moment. It orders what was known when a
// request was sent and what was recorded since: a clock may be moved back in between.
type Deletions int64

// tombstone is which deletion it records, and the namespace of the object.
type tombstone struct {
	at   Deletions
	from Tenant
	// aged means that it was there when tombstones were last dropped.
	aged bool
}

// tombstones are objects that were deleted or are terminating. A UID is never given twice and no
// deletion is undone, so a resurrected object proves that etcd was restored, whatever the
// resourceVersions are.
type tombstones struct {
	// past is an instant that is over for certain.
	past func() time.Time

	mu     sync.Mutex
	values map[Place]tombstone
	// added are the deletions so far, with those of snapshots.
	added Deletions
	// swept is when old tombstones were last dropped, by past.
	swept time.Time
}

// identity is the hash of what an object is and remains.
func identity(resource string, place Place, uid string) Place {
	return placeOf(resource + "\x00" + string(place[:]) + uid)
}

// tokenIdentity is the identity of a token that is on record.
func tokenIdentity(tokenID string) Place { return placeOf("minted\x00" + tokenID) }

// add records that an object of a namespace is gone.
func (t *tombstones) add(object Place, from Tenant) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if _, known := t.values[object]; known {
		return
	}
	if t.values == nil {
		t.values = map[Place]tombstone{}
	}
	switch past := t.past(); {
	case t.swept.IsZero():
		t.swept = past
	case past.Sub(t.swept) > tombstoneLifetime:
		t.age()
		t.swept = past
	}
	if len(t.values) >= maxTombstones {
		t.makeRoom()
	}
	t.added++
	t.values[object] = tombstone{at: t.added, from: from}
}

// age drops the tombstones that were there the last time. A lifetime has passed since then,
// whatever the clock showed when they were added.
func (t *tombstones) age() {
	for object, gone := range t.values {
		if gone.aged {
			delete(t.values, object)
			continue
		}
		gone.aged = true
		t.values[object] = gone
	}
}

// makeRoom drops the oldest tombstones of the namespaces that have more than a fair share.
func (t *tombstones) makeRoom() {
	held := make([]usage.Held[Tenant, Place], 0, len(t.values))
	for object, gone := range t.values {
		held = append(held, usage.Held[Tenant, Place]{Thing: object, Owner: gone.from, Size: 1, At: int64(gone.at)})
	}
	for _, object := range usage.Excess(held, roomyTombstones) {
		delete(t.values, object)
	}
}

// deletions is how many deletions were recorded so far.
func (t *tombstones) deletions() Deletions {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.added
}

// state returns Deleted if an object had a tombstone at a moment, and Unknown otherwise.
func (t *tombstones) state(object Place, when Deletions) restore.State {
	t.mu.Lock()
	defer t.mu.Unlock()
	if gone, known := t.values[object]; known && gone.at <= when {
		return restore.Deleted
	}
	return restore.Unknown
}

// has reports whether an object has a tombstone.
func (t *tombstones) has(object Place) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	_, known := t.values[object]
	return known
}

// remove removes the tombstone of an object that is there.
func (t *tombstones) remove(object Place) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.values, object)
}

// all returns a copy of the tombstones.
func (t *tombstones) all() map[Place]tombstone {
	t.mu.Lock()
	defer t.mu.Unlock()
	return maps.Clone(t.values)
}

// load adds the tombstones of a snapshot. All of them are older than a request of this process.
func (t *tombstones) load(list map[Place]tombstone) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(list) > 0 {
		t.values = list
	}
	for _, gone := range list {
		t.added = max(t.added, gone.at)
	}
}
