// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package tokenserver

import (
	"net/http"
	"sync"
	"time"

	"github.com/hallpass-dev/hallpass/internal/oauth2"
)

// The limits on callers. Nothing locks a client out: secrets are random, and a lock is a way to deny service. A secret that
// is right by what memory has is let in whatever failed before it.
const (
	failureBurst    = 8           // failed attempts at once, by source and client
	failureInterval = time.Second // and one more in each
	// DefaultClientRate is how many tokens a second one client may fetch.
	DefaultClientRate  = 500
	clientBurstSeconds = 10       // a client that was quiet may fetch as many seconds' worth at once
	throttleEntries    = 16 << 10 // keys that a throttle remembers
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

// throttleKey is whom a bucket belongs to.
type throttleKey struct{ source, clientID string }

// throttle is a bounded table of token buckets.
type throttle struct {
	burst    int
	interval time.Duration

	mu      sync.Mutex
	entries map[throttleKey]bucket
	swept   time.Time
}

func newThrottle(burst int, interval time.Duration) *throttle {
	return &throttle{burst: burst, interval: interval, entries: map[throttleKey]bucket{}}
}

// take spends one of the key's tokens. Without one it says how long to wait for the next.
func (t *throttle) take(key throttleKey, now time.Time) (wait time.Duration, ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	entry, known := t.entries[key]
	taken, ok := entry.take(now, t.burst, t.interval)
	if !ok {
		return taken.empty.Sub(now), false
	}
	if !known && len(t.entries) >= throttleEntries {
		t.makeRoom(now)
	}
	t.entries[key] = taken
	return 0, true
}

// makeRoom drops the entries whose bucket is full again, for they say nothing. It looks through the table once a second at the
// most, so that a flood of new keys cannot make each of them pay for that; in between any entry makes way.
func (t *throttle) makeRoom(now time.Time) {
	if now.Sub(t.swept) >= time.Second {
		t.swept = now
		full := now.Add(-time.Duration(t.burst) * t.interval)
		for key, entry := range t.entries {
			if !entry.empty.After(full) {
				delete(t.entries, key)
			}
		}
	}
	for key := range t.entries {
		if len(t.entries) < throttleEntries {
			return
		}
		delete(t.entries, key)
	}
}

// bucket is a token bucket told by one instant: the one at which it was, or would have been, empty.
type bucket struct{ empty time.Time }

func (b bucket) take(now time.Time, burst int, interval time.Duration) (bucket, bool) {
	if full := now.Add(-time.Duration(burst) * interval); b.empty.Before(full) {
		b.empty = full
	}
	b.empty = b.empty.Add(interval)
	return b, !b.empty.After(now)
}
