// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

// Package apiclock compares the clock of this process with that of the API server, which each of
// its responses states in the Date header (RFC 9110 section 6.6.1). A clock that is wrong for a
// minute must not delete anything: an interval for the present time bounds what is certain.
//
// Comparison is a value without I/O; Clock feeds one from a http.RoundTripper. The package depends
// on the standard library alone.
package apiclock

import "time"

const (
	// Tolerance is the largest difference of two clocks that agree. A Date has whole seconds,
	// and a response takes time.
	Tolerance = 30 * time.Second
	// Apart is the least time between the two responses that have to agree with our clock. A
	// machine that starts with a wrong clock has it set by then.
	Apart = time.Minute
)

// Instant is an instant by two clocks of this process.
type Instant struct {
	// Wall is what the clock of the machine shows. It may be set.
	Wall time.Time
	// Run is for how long the process has run, by a clock that is never set.
	Run time.Duration
}

// Time is the present time as far as it is known. Where the clocks agree within the tolerance, it
// is that of this process.
type Time struct {
	// Earliest and Latest are what the clock shows that is behind, and the other one.
	Earliest, Latest time.Time
	// Agreed means that two responses of the API server a minute apart agree with our clock.
	// Only then anything is deleted, or ended before its end was known.
	Agreed bool
}

// At is the present time where both clocks agree on it.
func At(now time.Time) Time { return Time{Earliest: now, Latest: now, Agreed: true} }

// Past returns the instant of which it is certain that it is over; zero if there is none.
func (t Time) Past() time.Time {
	if !t.Agreed {
		return time.Time{}
	}
	return t.Earliest
}

// Comparison is the difference between the local clock and the Date headers of the API server.
type Comparison struct {
	// begun is when this process started at the earliest, as long as there was no response.
	begun time.Time
	// older and newer are when this process started, by the API server's clock as of two
	// responses.
	older, newer time.Time
	// at is when the newer one came.
	at time.Duration
}

// From returns a comparison without a response. The present time was reached at an instant at the
// earliest: a clock that is set ahead later does not count.
func From(present time.Time, at Instant) Comparison {
	return Comparison{begun: present.Round(0).Add(-at.Run)}
}

// With returns the comparison with a further response that came at an instant and states a date.
func (c Comparison) With(date time.Time, at Instant) Comparison {
	started := date.Round(0).Add(-at.Run)
	switch {
	case !c.Known(), !near(started, c.newer), !near(started, at.started()):
		return Comparison{newer: started, at: at.Run}
	case at.Run-c.at >= Apart:
		return Comparison{older: c.newer, newer: started, at: at.Run}
	}
	return c
}

// Known reports whether there was a response.
func (c Comparison) Known() bool { return !c.newer.IsZero() }

// Ahead returns how far our clock is ahead of the API server's; zero if there was no response.
func (c Comparison) Ahead(now Instant) time.Duration {
	if !c.Known() {
		return 0
	}
	return now.started().Sub(c.newer)
}

// Time returns the present time.
func (c Comparison) Time(now Instant) Time {
	ours := now.Wall
	if earliest := c.begun.Add(now.Run); !c.Known() && earliest.Before(ours) {
		return Time{Earliest: earliest, Latest: ours}
	}
	if !c.Known() || near(now.started(), c.newer) {
		return Time{Earliest: ours, Latest: ours, Agreed: !c.older.IsZero() && near(now.started(), c.older) && near(now.started(), c.newer)}
	}
	theirs := c.newer.Add(now.Run)
	if ours.Before(theirs) {
		return Time{Earliest: ours, Latest: theirs}
	}
	return Time{Earliest: theirs, Latest: ours}
}

// started is when the process started, by our clock.
func (i Instant) started() time.Time { return i.Wall.Round(0).Add(-i.Run) }

func near(a, b time.Time) bool { return a.Sub(b).Abs() <= Tolerance }
