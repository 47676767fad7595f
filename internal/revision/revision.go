// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

// Package revision tells by the resourceVersions of a Kubernetes API server whether what stands behind it was restored from a backup.
// They can be compared and never go back otherwise (KEP-5504). It depends on nothing.
package revision

import "time"

// What no cluster writes. A restore that raises revisions, as etcd advises, raises them by a billion.
const (
	leastRaise = 500_000_000
	// fastest is how many writes a second are not believed.
	fastest = 100_000
	// counted is below what revisions that count writes come to. Stores that make them of the time rise faster.
	counted = 1_000_000_000_000
)

// SetBack reports whether a store that was at one revision and is at another after a while was restored from a backup in between: it
// went back, or it made a leap that no writes explain. Zero stands for a revision that is not known.
//
// A store that has caught up in the meantime, with as many writes as it was set back by, is not told this way.
func SetBack(before, now uint64, after time.Duration) bool {
	if before == 0 || now == 0 {
		return false
	}
	if now < before {
		return true
	}
	leap := now - before
	return before < counted && leap > leastRaise && float64(leap-leastRaise) > max(after.Seconds(), 0)*fastest
}
