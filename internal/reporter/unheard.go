// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package reporter

import (
	"time"

	"github.com/hallpass-dev/hallpass/internal/usage"
)

// Contact is the contact of a replica with the API server.
type Contact interface {
	// Heard is when the replica last received something from the API server, zero if it never
	// did. Silence is how long ago that was.
	Heard() time.Time
	Silence() time.Duration
	// Bridging reports whether the replica serves from the snapshot of an earlier one.
	Bridging() bool
}

// Unheard reports whether the replica must not decide anything, because a watch has brought
// nothing for usage.UnheardLimit and no report covers its uses. The uses of a replica that
// serves from a snapshot are covered by the report of the replica that wrote it, which does not
// have the state Stopped.
func (r *Reporter) Unheard(c Contact) bool {
	return !r.Reporting() && !c.Bridging() && !c.Heard().IsZero() && c.Silence() > usage.UnheardLimit
}
