// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

// Package restore decides what proves that the etcd behind a Kubernetes API server was restored from a backup. Both binaries ask it, about
// watches, lists and look-ups: the token server reads everything again, the manager answers watches with 410. It depends on nothing.
//
// A proof must be nothing that a user of the cluster can bring about. resourceVersions never go back otherwise and can be compared
// (KEP-5504), a UID is given once, and no deletion is undone.
package restore

import "time"

// Proof is what proves that etcd was restored, in words for the log.
type Proof string

// The proofs. None is that there is none.
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
	// Unknown is the state of an object that nothing is known of.
	Unknown State = iota
	// Present is the state of an object that is there and is not terminating.
	Present
	// Terminating is the state of an object that has a deletion timestamp, and goes when its finalizers are done.
	Terminating
	// Deleted is the state of an object that was there and is not: its deletion was watched, or a whole list does not have it.
	Deleted
)

// Facts are what is known of a store, or what is seen of it later. What is zero is not known, and proves nothing.
type Facts struct {
	// Revision is how far the store is.
	Revision uint64
	// Newest is the resourceVersion of one object: of all that are known, the one that changed last.
	Newest uint64
	// Object is the state of one object.
	Object State
}

// Prove returns what proves that a store was restored after something was known of it and before something was seen. The duration
// is how long after the one the other was.
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

// What no cluster writes. A restore that raises revisions, as etcd advises, raises them by a billion.
const (
	leastRaise = 500_000_000
	// fastest is how many writes a second are not believed.
	fastest = 100_000
	// counted is below what revisions that count writes come to. Stores that make them of the time rise faster.
	counted = 1_000_000_000_000
)

// moved reports whether a revision went back, or made a leap that no writes explain. A store that has written as much as it lost
// in the meantime is not recognised this way.
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
	// Lost is set if the store was restored since the list before: the instant until which that list
	// was up to date. Denials of before are then quarantined.
	Lost time.Time
	// Restores is how many restores were noticed so far.
	Restores int64
	// Waiting is set while the proof of another restore has not been acted upon.
	Waiting bool
	// Saved is set for the list of a snapshot. An object that it lacks was not deleted.
	Saved bool
}
