// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package oauth2

import (
	"time"

	"github.com/hallpass-dev/hallpass/internal/keyring"
)

// signingRetry is the Retry-After if no key signs. Keys may also be brought forward.
const signingRetry = time.Minute

// noSigningKey refuses a token request while no key signs: a clock is wrong, or the keys are lost.
func noSigningKey() *Error {
	return &Error{
		Code: TemporarilyUnavailable, Reason: ReasonNoSigningKey, RetryAfter: signingRetry,
		Description: "no key signs tokens right now; try again shortly",
	}
}

// SigningKey returns the key for a client's token. A client that asks for an algorithm gets no
// other: its verifiers may know no other. The client's condition asks it too.
func SigningKey(client *Client, ring keyring.Ring, now time.Time) (*keyring.SigningKey, error) {
	key, err := ring.SigningKey(now)
	if err != nil {
		return nil, noSigningKey()
	}
	if client.Tokens.Algorithm == "" {
		return key, nil
	}
	if key, err := ring.SigningKeyFor(client.Tokens.Algorithm, now); err == nil {
		return key, nil
	}
	for _, key := range ring.Keys() {
		if key.Algorithm() == client.Tokens.Algorithm && key.State(now) == keyring.Published {
			return nil, &Error{
				Code: TemporarilyUnavailable, Reason: ReasonAlgorithmNotReady, RetryAfter: signingRetry,
				Description: "the first key of this client's tokenSigningAlgorithm does not sign yet",
			}
		}
	}
	return nil, Refuse(UnauthorizedClient, ReasonAlgorithmNotEnabled,
		"tokens are not signed with this client's tokenSigningAlgorithm here; see the conditions of the OAuth2Client")
}
