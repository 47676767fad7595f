// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package auth

import (
	"time"

	"github.com/hallpass-dev/hallpass/internal/oauth2"
)

// The reasons of refusals that say nothing of the client or the token.
const (
	reasonStale         oauth2.Reason = "DirectoryStale"
	reasonUseUnreported oauth2.Reason = "UseUnreported"
	reasonOverloaded    oauth2.Reason = "Overloaded"
)

const (
	staleRetry      = 30 * time.Second
	unreportedRetry = 5 * time.Second
	overloadRetry   = time.Second
	lookupRetry     = 2 * time.Second // Retry-After of a request without a budget or an answer
)

// Overloaded is the refusal of a request for which there is no room.
func Overloaded() error {
	return unavailable(reasonOverloaded, overloadRetry, "too many requests at once; try again shortly")
}

// Throttled is the refusal of a caller that asks too often.
func Throttled(wait time.Duration, description string) error {
	return unavailable(oauth2.ReasonThrottled, wait, description)
}

// unreported is the refusal of a secret that ends when it is unused, at a replica whose report nobody
// reads: another replica may accept it, and so may this one soon.
func unreported() error {
	return unavailable(reasonUseUnreported, unreportedRetry,
		"this client secret was replaced and cannot be accepted here right now; use the new one, or try again shortly")
}

func unavailable(reason oauth2.Reason, wait time.Duration, description string) error {
	return &oauth2.Error{Code: oauth2.TemporarilyUnavailable, Reason: reason, RetryAfter: wait, Description: description}
}
