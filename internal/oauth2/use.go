// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package oauth2

import "time"

// Use is what one decision tells of the use of an object: an OAuth2Client by its secret or by a token of its. It is told only once
// a secret matched or a signature was found good, so that nobody else can make an object look used.
type Use struct {
	// Subject is the UID of the object.
	Subject string
	// At is when.
	At time.Time
	// Credential is the id of the client secret that was accepted, or that would have been; empty if none was presented.
	Credential string
	// Issued says that a token was issued; Presented, that a token was presented and is good.
	Issued, Presented bool
	// Stale is why this use deserves a word, or "".
	Stale StaleUse
	// Source is the address that it came from, or "".
	Source string
}

// StaleUse is a use of something that had its time: the word of the event that tells of it.
type StaleUse string

// The ways in which something is used that had its time.
const (
	// ExpiredTokenUsed: a token was presented after its exp, and refused.
	ExpiredTokenUsed StaleUse = "ExpiredTokenUsed"
	// RevokedTokenUsed: a token was presented after it was revoked, and refused.
	RevokedTokenUsed StaleUse = "RevokedTokenUsed"
	// PreviousSecretUsed: a client secret was presented that another one has replaced, and accepted because its overlap lasts.
	PreviousSecretUsed StaleUse = "PreviousSecretUsed"
)

// StaleUses are all of them. Their order is a promise to what is stored.
var StaleUses = [...]StaleUse{ExpiredTokenUsed, RevokedTokenUsed, PreviousSecretUsed} //nolint:gochecknoglobals // a constant list

// StaleUse is what the denial of a token that is verifiably ours tells of its use, or "".
func (r Reason) StaleUse() StaleUse {
	switch r {
	case ReasonTokenExpired:
		return ExpiredTokenUsed
	case ReasonTokenRevoked:
		return RevokedTokenUsed
	default:
		return ""
	}
}

// Replaced reports whether another secret has taken the place of this one: it is accepted until its end.
func (v Verifier) Replaced() bool { return !v.Pending && !v.ExpiresAt.IsZero() }
