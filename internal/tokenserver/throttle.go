// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package tokenserver

import (
	"net/http"
	"time"

	"github.com/hallpass-dev/hallpass/internal/budget"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
)

// The limits on callers. Nothing locks a client out: secrets are random, and a lock is a way to deny service. A secret that
// is right by what memory has is let in whatever failed before it.
const (
	failureBurst    = 8           // failed attempts at once, by source and client
	failureInterval = time.Second // and one more in each
	// DefaultClientRate is how many tokens a second one client may fetch.
	DefaultClientRate  = 500
	clientBurstSeconds = 10 // a client that was quiet may fetch as many seconds' worth at once
)

const (
	reasonThrottled  oauth2.Reason = "Throttled"
	reasonOverloaded oauth2.Reason = "Overloaded"
)

// throttled is the refusal of a caller that asks too often: RFC 6585 section 4.
func throttled(wait time.Duration, description string) error {
	return &httpError{status: http.StatusTooManyRequests, refusal: &oauth2.Error{
		Code: oauth2.TemporarilyUnavailable, Reason: reasonThrottled, RetryAfter: wait, Description: description,
	}}
}

// The bounds on what is done at once. Beyond them requests are turned away before they cost memory.
const (
	// DefaultMaxInFlight is how many requests are worked on at once. Look-ups, the only thing that a request waits for, have a
	// budget far below it.
	DefaultMaxInFlight = 512
	// smallBody is what every request may send without asking; 5,000 slow senders of as much hold 40 MiB.
	smallBody = 8 << 10
	// maxLargeBodies is how many longer bodies are read at once.
	maxLargeBodies = 64

	overloadRetry = time.Second
)

// overloaded is the refusal of a request for which there is no room.
func overloaded() error {
	return &oauth2.Error{
		Code: oauth2.TemporarilyUnavailable, Reason: reasonOverloaded, RetryAfter: overloadRetry,
		Description: "too many requests at once; try again shortly",
	}
}

// perKey has a budget for each key, and shared one for everybody.
func perKey(burst int, interval time.Duration) *budget.Budget {
	return budget.New(budget.Level{Burst: burst, Interval: interval})
}

func shared(burst int, interval time.Duration) *budget.Budget {
	return budget.New(budget.Level{Burst: burst, Interval: interval, Shared: true})
}
