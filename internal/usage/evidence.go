// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package usage

import (
	"time"

	"github.com/hallpass-dev/hallpass/internal/oauth2"
)

const (
	// clockSkew is how far two clocks may differ.
	clockSkew = 5 * time.Minute
	// UnheardLimit is how long a replica without a current report continues without contact to
	// the API server: it may not know which secrets are watched.
	UnheardLimit = 5 * time.Minute
	// MaxSilence is the greatest age of the coverage of a report whose replica counts as
	// reporting.
	MaxSilence = 30 * time.Minute
)

// Replica is the state of one replica of the token server by its report.
type Replica struct {
	Name      string
	StartedAt time.Time
	// CoveredFrom and CoveredUntil bound the time of which the report lacks no use; both are
	// zero at first.
	CoveredFrom, CoveredUntil time.Time
	// Stopped means that the replica serves no more, and that its report is complete.
	Stopped bool
	// MaxStaleness is how long the replica continues without contact, and how long it accepts
	// watched secrets after CoveredUntil; zero means for ever.
	MaxStaleness time.Duration
	// Losses are the namespaces of whose objects the report lacks uses before an instant.
	Losses []Loss
	// Complete means that all parts of the report were read.
	Complete bool
}

// vouched is the instant up to which the report lacks nothing.
func (r Replica) vouched() time.Time { return oauth2.Later(r.StartedAt, r.CoveredUntil) }

// goneBy is when a silent replica, or one that continues from its snapshot, cannot accept the
// secret any more; zero if never. If it knows that the secret is watched, it accepts it for
// MaxStaleness after its coverage; otherwise it accepts nothing after MaxStaleness without contact.
func (r Replica) goneBy(watchedSince time.Time) time.Time {
	if r.MaxStaleness <= 0 {
		return time.Time{}
	}
	return oauth2.Later(r.vouched(), watchedSince).Add(r.MaxStaleness + clockSkew)
}

// Question asks whether a replaced secret is still used.
type Question struct {
	// Namespace is that of the client. Without it a loss of any namespace counts.
	Namespace string
	// WatchedSince is the instant since which it is watched. Earlier uses do not count.
	WatchedSince time.Time
	// LastUsed is the last use in all reports.
	LastUsed Minute
	// UnusedFor is how long it must be unused.
	UnusedFor time.Duration
	Now       time.Time
}

// Finding is the result of Judge.
type Finding string

// The findings.
const (
	// Unused: every replica proves that it was not used for long enough. It may end.
	Unused Finding = "Unused"
	// NotUnusedForLong: it was, or may have been, used since.
	NotUnusedForLong Finding = "NotUnusedForLong"
	// NotReported: a replica that does not report may use it.
	NotReported Finding = "NotReported"
)

// Answer is a Finding with its evidence.
type Answer struct {
	Finding Finding
	// Replica is the one whose report is missing or impossible; empty if there is no replica.
	Replica string
	// Since is the last possible use, or the end of the coverage of a silent replica.
	Since time.Time
	// Ask is when the answer may change without a new report; zero if it cannot.
	Ask time.Time
}

// Judge answers a question from the reports of all replicas. A missing report never ends a secret:
// a silent replica may use it until it certainly cannot, and a time without coverage, or of which
// uses of its namespace are lost, counts as a use at its end.
func Judge(replicas []Replica, q Question) Answer {
	possible := q.WatchedSince
	if q.LastUsed > 0 {
		possible = oauth2.Later(possible, q.LastUsed.Time().Add(time.Minute))
	}
	vouched, reporting := q.Now, false
	for _, r := range replicas {
		if !r.Complete || r.vouched().After(q.Now.Add(clockSkew)) {
			return Answer{Finding: NotReported, Replica: r.Name, Since: r.vouched()}
		}
		if r.CoveredFrom.After(r.StartedAt) {
			possible = oauth2.Later(possible, r.CoveredFrom)
		}
		possible = oauth2.Later(possible, lostUntil(r.Losses, q.Namespace).Time())
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
	if end := possible.Add(q.UnusedFor + clockSkew); vouched.Before(end) {
		return Answer{Finding: NotUnusedForLong, Since: possible, Ask: end}
	}
	return Answer{Finding: Unused, Since: possible}
}
