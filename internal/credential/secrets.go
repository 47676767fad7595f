// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

// Package credential decides what becomes of credentials that are kept in users' Secrets: the secrets of a client and minted
// tokens. It is pure, as keyring is for keys: values in, values out, and the time is an argument. It does not depend on how
// records are stored.
package credential

import (
	"crypto/sha256"
	"encoding/binary"
	"slices"
	"time"

	"github.com/hallpass-dev/hallpass/internal/oauth2"
)

const (
	// DefaultOverlap is how long a replaced secret goes on working unless the spec says otherwise.
	DefaultOverlap = 24 * time.Hour
	// PendingLife is how long a secret may take from its registration to its Secret object. After that nobody has it.
	PendingLife = 5 * time.Minute
	// YoungFor is how long an attempt that failed is repeated with the same secret: its last write still has a minute to arrive.
	YoungFor = PendingLife - time.Minute
	// MaxLive bounds the secrets of a client that are accepted at once, pending ones aside.
	MaxLive = 3
)

// Record is what is registered of the secrets of a client.
type Record struct {
	Verifiers []oauth2.Verifier
	Rotation  Rotation
}

// Rotation is what the manager has to remember about requests to rotate. It is stored beside the verifiers, because status is
// never an input.
type Rotation struct {
	// Handled is the last request that was carried out.
	Handled string
	// Planned is the request that the verifier PlannedBy answers once its secret has reached the user's Secret.
	Planned, PlannedBy string
	// First is the verifier that the registration was created with, until another one is proposed. It was written at the same time as the
	// user's Secret, so that Secret may have another value: that of a manager which was as quick.
	First string
}

// Policy is what the user wants of the secrets of a client.
type Policy struct {
	UID      string
	Interval time.Duration // zero: never on its own
	Overlap  time.Duration
	// UnusedFor ends a replaced secret once it was unused for that long; zero: never.
	UnusedFor time.Duration
	Request   string // the value of the rotate annotation
}

// Settle makes the registration tell the truth about the value in the user's Secret, which is where the commit point is: a
// value that matches any verifier that has not ended is current, whatever was planned. Its verifier loses its end; the one
// that was current until now ends after the overlap; what has ended is dropped. It reports whether the value is current.
func Settle(r Record, value oauth2.Secret, p Policy, now time.Time) (Record, bool) {
	digest := oauth2.DigestSecret(p.UID, value)
	index := slices.IndexFunc(r.Verifiers, func(v oauth2.Verifier) bool { return v.Live(now) && v.Digest == digest })
	found := index >= 0 && !value.Empty()
	var verifiers []oauth2.Verifier
	for i, v := range r.Verifiers {
		switch {
		case !v.Live(now):
			continue
		case found && i == index:
			v.Pending, v.ExpiresAt = false, time.Time{}
			if r.Rotation.PlannedBy == v.ID {
				r.Rotation = Rotation{Handled: r.Rotation.Planned}
			}
		case found && v.ExpiresAt.IsZero():
			if v.ExpiresAt = now.Add(p.Overlap).UTC().Truncate(time.Second); p.Overlap == 0 {
				continue
			}
		}
		verifiers = append(verifiers, v)
	}
	slices.SortStableFunc(verifiers, func(a, b oauth2.Verifier) int { return b.CreatedAt.Compare(a.CreatedAt) })
	r.Verifiers = withinLimit(verifiers)
	watch(r.Verifiers, p, now)
	return r, found
}

// withinLimit pushes out the secrets that would end first until no more than MaxLive are accepted, pending ones aside.
func withinLimit(verifiers []oauth2.Verifier) []oauth2.Verifier {
	for live(verifiers) > MaxLive {
		first := -1
		for i, v := range verifiers {
			if !v.Pending && !v.ExpiresAt.IsZero() && (first < 0 || v.ExpiresAt.Before(verifiers[first].ExpiresAt)) {
				first = i
			}
		}
		if first < 0 {
			return verifiers
		}
		verifiers = slices.Delete(verifiers, first, first+1)
	}
	return verifiers
}

// live counts the secrets that are accepted, pending ones aside.
func live(verifiers []oauth2.Verifier) int {
	count := 0
	for _, v := range verifiers {
		if !v.Pending {
			count++
		}
	}
	return count
}

// Propose adds a secret that is about to be written to the user's Secret, unless it is registered already. It is accepted from now on and
// ends soon unless settle finds it there. Of the proposals the oldest make room for it, because the newest may still be on its way to the
// Secret. A secret that did reach one never does: MaxLive leaves room beside those, and a record with more of them cannot be encoded.
func Propose(r Record, secret oauth2.Credential, p Policy, now time.Time) Record {
	digest := oauth2.DigestSecret(p.UID, secret.Value)
	first := ""
	if slices.ContainsFunc(r.Verifiers, func(v oauth2.Verifier) bool { return v.Live(now) && v.Digest == digest }) {
		if first = r.Rotation.First; first == secret.ID && p.Request == r.Rotation.Handled {
			return r
		}
	} else {
		verifiers := slices.Clone(r.Verifiers)
		for oldest := oldestPending(verifiers); len(verifiers) >= oauth2.MaxVerifiers && oldest >= 0; oldest = oldestPending(verifiers) {
			verifiers = slices.Delete(verifiers, oldest, oldest+1)
		}
		verifiers = append(verifiers, verifier(secret.ID, secret.Value, p.UID, now, now.Add(PendingLife)))
		r.Verifiers = verifiers
	}
	r.Rotation = Rotation{Handled: r.Rotation.Handled, Planned: p.Request, PlannedBy: secret.ID, First: first}
	return r
}

// oldestPending is the place of the oldest secret that is not known to have reached a Secret; negative if there is none.
func oldestPending(verifiers []oauth2.Verifier) int {
	oldest := -1
	for i, v := range verifiers {
		if v.Pending && (oldest < 0 || v.CreatedAt.Before(verifiers[oldest].CreatedAt)) {
			oldest = i
		}
	}
	return oldest
}

// verifier is a pending verifier; times are whole seconds, as they are stored and shown.
func verifier(id string, value oauth2.Secret, uid string, createdAt, expiresAt time.Time) oauth2.Verifier {
	return oauth2.Verifier{
		ID: id, Digest: oauth2.DigestSecret(uid, value), Pending: true,
		CreatedAt: createdAt.UTC().Truncate(time.Second), ExpiresAt: expiresAt.UTC().Truncate(time.Second),
	}
}

// Schedule is when the next rotation of a settled registration is due; zero means never. blocked says that one is due and
// has to wait until then for an older secret to end.
func Schedule(r Record, p Policy, now time.Time) (due time.Time, blocked bool) {
	current, found := current(r)
	if !found {
		return time.Time{}, false
	}
	if p.Interval > 0 {
		due = nextInterval(current.CreatedAt, p.Interval, p.UID)
	}
	if p.Request != "" && p.Request != r.Rotation.Handled {
		due = now
	}
	if due.IsZero() || due.After(now) || live(r.Verifiers) < MaxLive || p.Overlap == 0 {
		return due, false
	}
	return NextExpiry(r), true
}

// nextInterval is the first instant after created at which this client's turn comes. Turns are an interval apart and lie at
// a place within it that the UID picks, so that clients which were created together do not rotate together.
func nextInterval(created time.Time, interval time.Duration, uid string) time.Time {
	sum := sha256.Sum256([]byte(uid))
	phase := time.Duration(binary.BigEndian.Uint64(sum[:]) % uint64(interval)).Truncate(time.Second) //nolint:gosec // an interval is an hour or more
	turn := created.Truncate(interval).Add(phase)
	for !turn.After(created) {
		turn = turn.Add(interval)
	}
	return turn
}

// current is the verifier without an end.
func current(r Record) (oauth2.Verifier, bool) {
	index := slices.IndexFunc(r.Verifiers, func(v oauth2.Verifier) bool { return !v.Pending && v.ExpiresAt.IsZero() })
	if index < 0 {
		return oauth2.Verifier{}, false
	}
	return r.Verifiers[index], true
}

// NextExpiry is the first instant at which a secret ends; zero if none does.
func NextExpiry(r Record) time.Time {
	var first time.Time
	for _, v := range r.Verifiers {
		if !v.ExpiresAt.IsZero() && (first.IsZero() || v.ExpiresAt.Before(first)) {
			first = v.ExpiresAt
		}
	}
	return first
}

// watch marks the secrets that are replaced, and to end once nobody uses them, with the instant at which that is first known.
func watch(verifiers []oauth2.Verifier, p Policy, now time.Time) {
	for i := range verifiers {
		v := &verifiers[i]
		switch {
		case p.UnusedFor == 0 || !v.Replaced():
			v.WatchedSince = time.Time{}
		case !v.Watched():
			v.WatchedSince = now.UTC().Truncate(time.Second)
		}
	}
}
