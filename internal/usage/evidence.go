// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package usage

import (
	"time"

	"github.com/hallpass-dev/hallpass/internal/oauth2"
)

const (
	// ClockSkew is how far the clocks of two processes may be apart.
	ClockSkew = 5 * time.Minute
	// UnheardLimit is how long a replica without a report, or with one older than MaxStaleness, goes on without hearing from the API
	// server: one that nobody knows of must not accept for long what it has not heard to be watched.
	UnheardLimit = 5 * time.Minute
	// MaxSilence is how old what a report covers may be for its replica to be taken for one that reports.
	MaxSilence = 30 * time.Minute
)

// Replica is what the report of one replica of the token server says of itself.
type Replica struct {
	Name string
	// StartedAt is when it began. It used nothing before.
	StartedAt time.Time
	// CoveredFrom and CoveredUntil are the span of which no use is missing in its report; both are zero of one that has just begun.
	CoveredFrom, CoveredUntil time.Time
	// Stopped says that it answers nobody any more, and that its report lacks nothing.
	Stopped bool
	// MaxStaleness is how long it goes on after it last heard from the API server, and how long it accepts watched secrets after the end
	// of what its report covers; zero means for ever.
	MaxStaleness time.Duration
	// Complete says that all parts of its report were read.
	Complete bool
}

// vouched is the instant up to which the report of the replica tells everything.
func (r Replica) vouched() time.Time { return oauth2.Later(r.StartedAt, r.CoveredUntil) }

// goneBy is when a replica that has fallen silent, or one that took its place from its snapshot, accepts the secret no more, whatever
// has become of it. If it has heard that the secret is watched, it accepts it as long as its report is not older than MaxStaleness;
// if not, it has heard nothing since then, and accepts nothing at all after MaxStaleness. It is zero if there is no such instant.
func (r Replica) goneBy(watchedSince time.Time) time.Time {
	if r.MaxStaleness <= 0 {
		return time.Time{}
	}
	return oauth2.Later(r.vouched(), watchedSince).Add(r.MaxStaleness + ClockSkew)
}

// Question is whether a replaced secret is still used.
type Question struct {
	// WatchedSince is when it was said to be watched. What was used before does not count.
	WatchedSince time.Time
	// LastUsed is the last use that all reports together know of.
	LastUsed Minute
	// UnusedFor is how long nobody must have used it.
	UnusedFor time.Duration
	Now       time.Time
}

// Finding is why a watched secret lives on.
type Finding string

// The findings.
const (
	// Unused: nobody has used it for as long as was asked, and every replica vouches for that. It may end.
	Unused Finding = "Unused"
	// NotUnusedForLong: since it is watched, was used, or may have been used, not enough time has passed.
	NotUnusedForLong Finding = "NotUnusedForLong"
	// NotReported: a replica may use it of which nothing has been heard.
	NotReported Finding = "NotReported"
)

// Answer is what the reports prove.
type Answer struct {
	Finding Finding
	// Replica is the one whose report says too little, or what cannot be; empty if there is none at all.
	Replica string
	// Since is the last instant at which the secret may have been used, or of a replica that is silent, the end of what it vouches for.
	Since time.Time
	// Ask is when the answer may be another one without any news; zero if only news can change it.
	Ask time.Time
}

// Judge answers a question from the reports of all replicas there are. It takes what is not told for a use: a replica of
// which nothing is heard may use the secret until it is sure that it cannot, and a span that no report covers counts as used at its
// end. So a report that is missing never ends a secret.
func Judge(replicas []Replica, q Question) Answer {
	possible := q.WatchedSince
	if q.LastUsed > 0 {
		possible = oauth2.Later(possible, q.LastUsed.Time().Add(time.Minute))
	}
	vouched, reporting := q.Now, false
	for _, r := range replicas {
		if !r.Complete || r.vouched().After(q.Now.Add(ClockSkew)) {
			return Answer{Finding: NotReported, Replica: r.Name, Since: r.vouched()}
		}
		if r.CoveredFrom.After(r.StartedAt) {
			possible = oauth2.Later(possible, r.CoveredFrom)
		}
		switch {
		case r.Stopped:
		case q.Now.Sub(r.vouched()) <= MaxSilence:
			reporting = true
			if r.vouched().Before(vouched) {
				vouched = r.vouched()
			}
		default:
			gone := r.goneBy(q.WatchedSince)
			if gone.IsZero() || q.Now.Before(gone) {
				return Answer{Finding: NotReported, Replica: r.Name, Since: r.vouched(), Ask: gone}
			}
			possible = oauth2.Later(possible, gone)
		}
	}
	if !reporting {
		return Answer{Finding: NotReported}
	}
	if end := possible.Add(q.UnusedFor + ClockSkew); vouched.Before(end) {
		return Answer{Finding: NotUnusedForLong, Since: possible, Ask: end}
	}
	return Answer{Finding: Unused, Since: possible}
}
