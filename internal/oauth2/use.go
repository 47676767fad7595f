// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package oauth2

import "time"

// Use is one use of an OAuth2Client or an OAuth2Token. It is made only after a secret matched or a
// signature was verified, so that others cannot make an object look used.
type Use struct {
	// Subject is the UID of the object, and Namespace is the one that it is in. Namespace is
	// empty for a token whose client is not known, and never for a use of a secret.
	Subject, Namespace string
	At                 time.Time
	// Credential is the id of the secret that was presented; empty if there was none.
	Credential string
	// Issued means that a token was issued; Presented, that a valid token was presented.
	Issued, Presented bool
	// Stale is set if the token or the secret was stale.
	Stale StaleUse
	// Source is the address of the caller, or "".
	Source string
}

// StaleUse is the use of a stale credential. It is the reason of an event.
type StaleUse string

// The stale uses.
const (
	// ExpiredTokenUsed: an expired token was refused.
	ExpiredTokenUsed StaleUse = "ExpiredTokenUsed"
	// RevokedTokenUsed: a revoked token was refused.
	RevokedTokenUsed StaleUse = "RevokedTokenUsed"
	// PreviousSecretUsed: a replaced secret was accepted within its overlap.
	PreviousSecretUsed StaleUse = "PreviousSecretUsed"
)

// StaleUses are all stale uses. The stored form depends on their order.
var StaleUses = [...]StaleUse{ExpiredTokenUsed, RevokedTokenUsed, PreviousSecretUsed} //nolint:gochecknoglobals // a constant list

// StaleUse returns the stale use of a denied token with a valid signature, or "".
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

// Replaced reports whether another secret has replaced this one, which is accepted until its end.
func (v Verifier) Replaced() bool { return !v.Pending && !v.ExpiresAt.IsZero() }

// Refused is a refused request of an OAuth2Client. Every caller that knows a client_id can cause
// one, so it proves no use.
type Refused struct {
	// Client is the UID of the OAuth2Client, empty if there is none, and Namespace its
	// namespace.
	Client, Namespace string
	At                time.Time
	Reason            Reason
	// Subject is that of the Error.
	Subject string
	// Source is the address of the caller.
	Source string
}
