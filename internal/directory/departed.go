// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package directory

import (
	"maps"
	"sync"
	"time"

	"github.com/hallpass-dev/hallpass/internal/restore"
)

const (
	// departedFor is for how long at least it is known that an object is gone, and so how old a backup may be.
	departedFor = 24 * time.Hour
	// maxDeparted bounds how many there are, at some fifty bytes each; of more the oldest are forgotten sooner.
	maxDeparted = 100_000
)

// departed are objects that were deleted, or are about to be. A UID is never given twice and no deletion is undone, so that one which is
// back proves that etcd was restored from a backup, whatever its resourceVersions say.
type departed struct {
	mu sync.Mutex
	// young and old are two generations, so that nobody looks for the oldest. Of each it is known when it was noted, in Unix nanoseconds.
	young, old map[hash]int64
	begun      time.Time
}

// identity is the hash of what an object is and remains.
func identity(resource string, name hash, uid string) hash {
	return hashOf(resource + "\x00" + string(name[:]) + uid)
}

// note remembers that an object is gone.
func (d *departed) note(object hash, now time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if _, known := d.old[object]; known {
		return
	}
	if _, known := d.young[object]; known {
		return
	}
	if d.young == nil || len(d.young) >= maxDeparted/2 || now.Sub(d.begun) > departedFor {
		d.old, d.young, d.begun = d.young, map[hash]int64{}, now
	}
	d.young[object] = now.UnixNano()
}

// state is Deleted if an object was known to be gone, or about to go, at an instant. Of others nothing is known here.
func (d *departed) state(object hash, when time.Time) restore.State {
	d.mu.Lock()
	defer d.mu.Unlock()
	noted, gone := d.young[object]
	if !gone {
		noted, gone = d.old[object]
	}
	if gone && noted <= when.UnixNano() {
		return restore.Deleted
	}
	return restore.Unknown
}

// has reports whether an object is known to be gone.
func (d *departed) has(object hash) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	_, young := d.young[object]
	_, old := d.old[object]
	return young || old
}

// forget takes an object for one that is there.
func (d *departed) forget(object hash) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.young, object)
	delete(d.old, object)
}

// all are those that are known.
func (d *departed) all() map[hash]int64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	list := maps.Clone(d.old)
	if list == nil {
		list = map[hash]int64{}
	}
	maps.Copy(list, d.young)
	return list
}

// fill takes over what a process before this one knew.
func (d *departed) fill(list map[hash]int64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(list) > 0 {
		d.old = maps.Clone(list)
	}
}
