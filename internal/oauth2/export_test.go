// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package oauth2

import (
	"time"

	"github.com/hallpass-dev/hallpass/internal/keyring"
)

// Validate verifies an access token and checks that it is valid now.
func (i Issuer) Validate(token string, ring keyring.Ring, now time.Time) (*Claims, error) {
	verified, err := i.Verify(token, ring, now)
	if err != nil {
		return nil, err
	}
	return verified.Claims, verified.Check(ring, now)
}

// Decide decides about one scope of a client for itself.
func Decide(client *Client, resource *Resource, scope string) Decision {
	d := DeciderFor(client, resource)
	return d.Decide(scope)
}
