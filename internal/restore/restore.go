// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

// Package restore decides what proves that the etcd of a Kubernetes API server was restored from a
// backup. Upon a proof the token server lists everything again, and the manager answers watches
// with 410. It depends on nothing.
//
// No user of the cluster may be able to cause a proof. Otherwise resourceVersions never decrease
// and can be compared (KEP-5504), a UID is given once, and no deletion is undone.
package restore

import "time"

// Proof is the proof of a restore.
type Proof string

// The proofs, in words for the log.
const (
	None        Proof = ""
	Moved       Proof = "the revision of the store went back, or further ahead than writes explain"
	Older       Proof = "the object that changed last is there in an older version"
	Resurrected Proof = "an object that was deleted or terminating is there again and is not terminating"
)

// State is the state of an object under one UID.
type State int

// The states of an object.
const (
	Unknown State = iota
	// Present means that the object exists and is not terminating.
	Present
	// Terminating means that it has a deletion timestamp.
	Terminating
	// Deleted means that its deletion was watched, or that a whole list lacks it.
	Deleted
)

// Facts are what is known of a store. Zero means unknown, and proves nothing.
type Facts struct {
	// Revision is the revision of the store.
	Revision uint64
	// Newest is the resourceVersion of the object that changed last of all that are known.
	Newest uint64
	Object State
}

// Prove returns the proof that a store was restored between two facts, given the time between them.
func Prove(known, seen Facts, after time.Duration) Proof {
	switch {
	case moved(known.Revision, seen.Revision, after):
		return Moved
	case seen.Newest != 0 && seen.Newest < known.Newest:
		return Older
	case (known.Object == Deleted || known.Object == Terminating) && seen.Object == Present:
		return Resurrected
	}
	return None
}

// A restore that raises revisions, as etcd advises, raises them by a billion.
const (
	leastRaise = 500_000_000
	// fastest is an impossible number of writes a second.
	fastest = 100_000
	// counted is above the revisions that count writes. Stores that derive them from the time
	// rise faster.
	counted = 1_000_000_000_000
)

// moved reports whether a revision decreased, or rose more than writes explain. It does not
// recognise a store that has written as much again as it lost.
func moved(before, now uint64, after time.Duration) bool {
	if before == 0 || now == 0 {
		return false
	}
	if now < before {
		return true
	}
	leap := now - before
	return before < counted && leap > leastRaise && float64(leap-leastRaise) > max(after.Seconds(), 0)*fastest
}

// List is what is known about a whole list of objects, beside the objects.
type List struct {
	// Version is the resourceVersion of the list; zero if it is no number.
	Version uint64
	// Lost is set if the store was restored since the list before: the instant until which that
	// list was up to date. Denials of before are then quarantined.
	Lost time.Time
	// Restores is how many restores were noticed so far.
	Restores int64
	// Waiting is set while the proof of another restore has not been acted upon.
	Waiting bool
	// Saved is set for the list of a snapshot. An object that it lacks was not deleted.
	Saved bool
}
