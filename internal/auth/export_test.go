// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package auth

import "time"

// OneAtATime reports whether signatures are checked one at a time for a payer.
func (a *Authority) OneAtATime(payer Payer, at time.Time) bool {
	return a.verification.turn(payer, at) != nil
}
