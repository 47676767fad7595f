// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package auth

import "github.com/hallpass-dev/hallpass/internal/oauth2"

// unproven is what a request of a public client is until it presents a code or a token that was
// issued to the client: that of its source. Any caller may know the client_id, so until then the
// source pays, and nothing counts as a use of the client.
type unproven struct {
	source string
	place  *Place
	rate   Rate
}

// Payer is who pays for what a caller causes.
func (c *Caller) Payer() Payer {
	if c.unproven != nil {
		return Payer{Source: c.unproven.source}
	}
	return PaidBy(c.Client)
}

// Proven makes the request that of its client and of a person, once the caller has presented a code
// or a token that was issued to the client for the person. It is a no-op for a client that has
// authenticated.
func (c *Caller) Proven(person oauth2.Person) error {
	if c.unproven == nil {
		return nil
	}
	request := c.unproven
	if err := request.place.assign(c.Client); err != nil {
		return err
	}
	c.unproven, c.Trail.Used.Caller = nil, c.Client.UID
	if request.rate == nil {
		return nil
	}
	return request.rate.Allow(c.Client, person, c.At)
}
