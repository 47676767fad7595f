// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package tokenserver

import (
	"hash/maphash"
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

// throttleKey is whom a bucket belongs to.
type throttleKey struct{ source, clientID string }

// throttle is a bounded table of token buckets. A key has its bucket in one of a few places, which a hash picks whose seeds nobody knows;
// where other keys have all of them, the bucket that is the fullest makes way, because it says the least. So a new key costs what a known
// one does, and the garbage collector has nothing to look at.
type throttle struct {
	burst, interval time.Duration
	seeds           [2]maphash.Seed

	mu   sync.Mutex
	sets [][throttleWays]bucket
}

// bucket is a token bucket told by one instant, in Unix nanoseconds: the one at which it was, or would have been, empty.
type bucket struct {
	key   uint64
	empty int64
}

const (
	throttleSets = 4 << 10
	throttleWays = 4
)

// newThrottle makes the buckets of many keys, each of which holds burst tokens and gets one more in each interval.
func newThrottle(burst int, interval time.Duration) *throttle {
	return newThrottleOf(throttleSets, burst, interval)
}

// newBudget makes one bucket for everybody, that of the zero key.
func newBudget(burst int, interval time.Duration) *throttle { return newThrottleOf(1, burst, interval) }

func newThrottleOf(sets, burst int, interval time.Duration) *throttle {
	return &throttle{
		burst: time.Duration(burst) * interval, interval: interval, sets: make([][throttleWays]bucket, sets),
		seeds: [2]maphash.Seed{maphash.MakeSeed(), maphash.MakeSeed()},
	}
}

// take spends one of the key's tokens. Without one it says how long to wait for the next.
func (t *throttle) take(key throttleKey, now time.Time) (wait time.Duration, ok bool) {
	sum := maphash.String(t.seeds[0], key.source) ^ maphash.String(t.seeds[1], key.clientID)
	at := now.UnixNano()
	t.mu.Lock()
	defer t.mu.Unlock()
	set := &t.sets[sum%uint64(len(t.sets))]
	place := &set[0]
	for i := range set {
		if set[i].key == sum {
			place = &set[i]
			break
		}
		if set[i].empty < place.empty {
			place = &set[i]
		}
	}
	full := at - int64(t.burst)
	if place.key == sum {
		full = max(full, place.empty)
	}
	empty := full + int64(t.interval)
	if empty > at {
		return time.Duration(empty - at), false
	}
	*place = bucket{key: sum, empty: empty}
	return 0, true
}
