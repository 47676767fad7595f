// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package apiclock

import (
	"context"
	"net/http"
	"sync"
	"time"
)

// Clock is the clock of a process that the API server's responses correct. It is safe for
// concurrent use.
type Clock struct {
	now func() Instant

	mu         sync.Mutex
	comparison Comparison
}

// New returns a Clock by the clock of the machine.
func New() *Clock {
	started := time.Now()
	return NewBy(func() Instant {
		now := time.Now()
		return Instant{Wall: now, Run: now.Sub(started)}
	})
}

// NewBy returns a Clock by another clock.
func NewBy(now func() Instant) *Clock {
	at := now()
	return &Clock{now: now, comparison: From(at.Wall, at)}
}

// Resume sets how early it may be now: the instant of a snapshot. It matters until the API server
// answers.
func (c *Clock) Resume(present time.Time) {
	at := c.now()
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.comparison.Known() {
		c.comparison = From(present, at)
	}
}

// Time returns the present time as far as it is known.
func (c *Clock) Time() Time { return c.compared().Time(c.now()) }

// Now returns the earliest present time: what has expired by then has expired by either clock.
func (c *Clock) Now() time.Time { return c.Time().Earliest }

// TimeOf returns the present time by a clock: as far as it is known by a Clock, and for certain by
// any other one.
func TimeOf(clock interface{ Now() time.Time }) Time {
	if known, ok := clock.(interface{ Time() Time }); ok {
		return known.Time()
	}
	return At(clock.Now())
}

// forgetMargin is how long what has expired is remembered: other clocks may be behind.
const forgetMargin = 5 * time.Minute

// Forgotten returns the instant before which what has expired is forgotten. A clock that is set
// does not move it.
func (c *Clock) Forgotten() time.Time { return c.Now().Add(-forgetMargin) }

// Since returns how long ago an instant was, by Now.
func (c *Clock) Since(at time.Time) time.Duration { return c.Now().Sub(at) }

// Ahead returns how far the clock of the machine is ahead of the API server's. It returns false if
// the API server has not answered yet.
func (c *Clock) Ahead() (time.Duration, bool) {
	compared := c.compared()
	return compared.Ahead(c.now()), compared.Known()
}

func (c *Clock) compared() Comparison {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.comparison
}

func (c *Clock) learn(date time.Time) {
	at := c.now()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.comparison = c.comparison.With(date, at)
}

// Transport returns a http.RoundTripper that reads the Date of each response.
func (c *Clock) Transport(next http.RoundTripper) http.RoundTripper { return transport{next, c} }

type transport struct {
	next  http.RoundTripper
	clock *Clock
}

// RoundTrip implements http.RoundTripper. A response with a 5xx status may be that of a load
// balancer.
func (t transport) RoundTrip(request *http.Request) (*http.Response, error) {
	response, err := t.next.RoundTrip(request)
	if err != nil || response.StatusCode >= http.StatusInternalServerError {
		return response, err //nolint:wrapcheck // it is only passed on
	}
	date, err := http.ParseTime(response.Header.Get("Date"))
	if err != nil {
		return response, nil //nolint:nilerr // a response without a date proves nothing
	}
	t.clock.learn(date)
	if answered, ok := request.Context().Value(dateKey{}).(*time.Time); ok {
		*answered = date
	}
	return response, nil
}

type dateKey struct{}

// WithDate returns a context for one request, whose response stores its Date in the time.
func WithDate(ctx context.Context, date *time.Time) context.Context {
	return context.WithValue(ctx, dateKey{}, date)
}
