// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package reporter

import (
	"time"

	"github.com/hallpass-dev/hallpass/internal/usage"
)

// Contact is the contact of a replica with the API server.
type Contact interface {
	// Heard is when the replica last heard from the API server, zero if it never did. Silence is
	// how long ago that was.
	Heard() time.Time
	Silence() time.Duration
	// Bridging reports whether the replica serves from the snapshot of an earlier one.
	Bridging() bool
}

// Unheard reports whether the replica must not decide anything, because it has not heard from the
// API server for usage.UnheardLimit and no report vouches for its uses. A replica that serves from
// a snapshot is vouched for by the report of the replica that wrote it, which does not say that
// this one has stopped.
func (r *Reporter) Unheard(c Contact) bool {
	return !r.Vouches() && !c.Bridging() && !c.Heard().IsZero() && c.Silence() > usage.UnheardLimit
}
