// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package oauth2

import "time"

// CutBack cuts a future instant back to the end of the second of asking: it means all tokens that
// exist. Tokens contain the second of issue only, so the whole second counts.
func CutBack(issuedBefore, asked time.Time) time.Time {
	if end := asked.Truncate(time.Second).Add(time.Second); issuedBefore.After(end) {
		return end.UTC()
	}
	return issuedBefore.UTC()
}

// IssueAt returns the instant of issue for a new token: now, or the end of a revocation that covers
// now. If that is too far ahead, it returns an error.
func IssueAt(now time.Time, revokedBefore ...time.Time) (time.Time, error) {
	issuedAt := now
	for _, before := range revokedBefore {
		issuedAt = Later(issuedAt, before)
	}
	if issuedAt.After(now.Add(clockSkew)) {
		return time.Time{}, &Error{
			Code: TemporarilyUnavailable, Reason: ReasonTokenRevoked, RetryAfter: revokedRetry,
			Description: "all tokens of this client are revoked until a time in the future",
		}
	}
	return issuedAt, nil
}

// revokedRetry is the Retry-After then: the manager cuts such an instant back at once.
const revokedRetry = 5 * time.Second

// Later returns the later of two instants.
func Later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
