// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package directory

import (
	"context"
	"net/http"
	"sync/atomic"
	"time"

	"golang.org/x/sync/singleflight"
)

const (
	// livePath is what a probe reads. API servers let every account read it, and answer it
	// whatever else they have to queue.
	livePath = "/livez"
	// silenceLimit is how long an API server has to be silent until it counts as unreachable,
	// and minProbe how much of that time a probe waits at least.
	silenceLimit = 5 * time.Second
	minProbe     = 3 * time.Second
	// knownProbe is how long a probe waits while the API server is silent already.
	knownProbe = 500 * time.Millisecond
)

// contact distinguishes an API server that is away from one that is slow to answer some requests,
// which a client can bring about: any response, event or bookmark shows that it is there.
type contact struct {
	probes singleflight.Group
	// arrived counts what arrives, and last is when that was last, in nanoseconds since 1970.
	arrived atomic.Uint64
	last    atomic.Int64
	// silent is true after a probe without an answer, until something arrives.
	silent atomic.Bool
}

// note records that something arrived.
func (c *contact) note() {
	c.last.Store(time.Now().UnixNano())
	c.arrived.Add(1)
	c.silent.Store(false)
}

// notes is a http.RoundTripper that notes each response.
type notes struct {
	http.RoundTripper

	contact *contact
}

func (n notes) RoundTrip(r *http.Request) (*http.Response, error) {
	response, err := n.RoundTripper.RoundTrip(r)
	if err == nil {
		n.contact.note()
	}
	return response, err //nolint:wrapcheck // it is only passed on
}

// probeTime is how long the next probe waits: until nothing has arrived for silenceLimit.
func (c *contact) probeTime() time.Duration {
	if c.silent.Load() {
		return knownProbe
	}
	return min(max(silenceLimit-time.Since(time.Unix(0, c.last.Load())), minProbe), silenceLimit)
}

// reachable asks whether the API server answers anything, once for all that ask at the same time.
// It returns as soon as the probe is answered, or cannot be sent.
func (a api) reachable(ctx context.Context) bool {
	found, _, _ := a.contact.probes.Do("", func() (any, error) {
		before := a.contact.arrived.Load()
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), a.contact.probeTime())
		defer cancel()
		// whatever the answer is, it is noted
		_ = a.core.Get().AbsPath(livePath).MaxRetries(0).Do(ctx).Error()
		heard := a.contact.arrived.Load() != before
		if !heard {
			a.contact.silent.Store(true)
		}
		return heard, nil
	})
	heard, ok := found.(bool)
	return ok && heard
}
