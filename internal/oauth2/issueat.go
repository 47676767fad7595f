// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package oauth2

import "time"

// CutBack is the instant before which tokens are taken back by somebody who asks for that instant at the time of asking. A time
// to come means all tokens that there are, so it is cut back to the second of asking. Tokens tell the second in which they were issued and
// no more, so that whole second counts.
func CutBack(issuedBefore, asked time.Time) time.Time {
	if end := asked.Truncate(time.Second).Add(time.Second); issuedBefore.After(end) {
		return end.UTC()
	}
	return issuedBefore.UTC()
}

// IssueAt is the instant that a new token says it was issued at, so that it is none of those that were taken back: now, or the end of
// this second if everything up to it was taken back. What was taken back for longer, nothing can be issued for.
func IssueAt(now time.Time, revokedBefore ...time.Time) (time.Time, error) {
	issuedAt := now
	for _, before := range revokedBefore {
		issuedAt = Later(issuedAt, before)
	}
	if issuedAt.After(now.Add(clockSkew)) {
		return time.Time{}, &Error{
			Code: TemporarilyUnavailable, Reason: ReasonTokenRevoked, RetryAfter: revokedRetry,
			Description: "all tokens of this client are revoked until a time to come",
		}
	}
	return issuedAt, nil
}

// revokedRetry is what a client is told to wait whose tokens are revoked until a time to come: the manager cuts that back at once.
const revokedRetry = 5 * time.Second

// Later returns the later of two instants.
func Later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
