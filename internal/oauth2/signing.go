// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package oauth2

import (
	"time"

	"github.com/hallpass-dev/hallpass/internal/keyring"
)

// signingRetry is what a caller is told to wait where no key signs. It is short of the instant at which one will: keys may also
// be brought forward.
const signingRetry = time.Minute

// SigningKey is the key that signs a client's token at that instant. A client that asks for an algorithm gets that one or a
// refusal, never another: its verifiers may know no other. The condition of the client asks the same function.
func SigningKey(client *Client, ring keyring.Ring, now time.Time) (*keyring.SigningKey, error) {
	if client.Algorithm == "" {
		key, err := ring.SigningKey(now)
		if err != nil {
			return nil, Unavailable(signingRetry)
		}
		return key, nil
	}
	if key, err := ring.SigningKeyFor(client.Algorithm, now); err == nil {
		return key, nil
	}
	for _, key := range ring.Keys() {
		if key.Algorithm() == client.Algorithm && key.State(now) == keyring.Published {
			return nil, &Error{
				Code: TemporarilyUnavailable, Reason: ReasonAlgorithmNotReady, RetryAfter: signingRetry,
				Description: "the first key of this client's tokenSigningAlgorithm does not sign yet",
			}
		}
	}
	return nil, Refuse(UnauthorizedClient, ReasonAlgorithmNotEnabled,
		"tokens are not signed with this client's tokenSigningAlgorithm here; see the conditions of the OAuth2Client")
}
