// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package oauth2client

import (
	"crypto/sha256"
	"encoding/binary"
	"slices"
	"time"

	"github.com/hallpass-dev/hallpass/internal/oauth2"
	"github.com/hallpass-dev/hallpass/internal/registration"
)

const (
	// defaultOverlap is how long a replaced secret goes on working unless the spec says otherwise.
	defaultOverlap = 24 * time.Hour
	// pendingLife is how long a secret may take from its registration to its Secret object. After that nobody has it.
	pendingLife = 5 * time.Minute
	// youngFor is how long an attempt that failed is repeated with the same secret: its last write still has a minute to arrive.
	youngFor = pendingLife - time.Minute
	// maxLive bounds the secrets of a client that are accepted at once, pending ones aside.
	maxLive = 3
)

// wish is what the user wants of the credentials.
type wish struct {
	uid      string
	interval time.Duration // zero: never on its own
	overlap  time.Duration
	// unusedFor ends a replaced secret once it was unused for that long; zero: never.
	unusedFor time.Duration
	request   string // the value of the rotate annotation
}

// settle makes the registration tell the truth about the value in the user's Secret, which is where the commit point is: a
// value that matches any verifier that has not ended is current, whatever was planned. Its verifier loses its end; the one
// that was current until now ends after the overlap; what has ended is dropped. It reports whether the value is current.
func settle(r registration.Registration, value oauth2.Secret, w wish, now time.Time) (registration.Registration, bool) {
	digest := oauth2.DigestSecret(w.uid, value)
	index := slices.IndexFunc(r.Client.Verifiers, func(v oauth2.Verifier) bool { return v.Live(now) && v.Digest == digest })
	found := index >= 0 && !value.Empty()
	var verifiers []oauth2.Verifier
	for i, v := range r.Client.Verifiers {
		switch {
		case !v.Live(now):
			continue
		case found && i == index:
			v.Pending, v.ExpiresAt = false, time.Time{}
			if r.Rotation.PlannedBy == v.ID {
				r.Rotation = registration.Rotation{Handled: r.Rotation.Planned}
			}
		case found && v.ExpiresAt.IsZero():
			if v.ExpiresAt = now.Add(w.overlap).UTC().Truncate(time.Second); w.overlap == 0 {
				continue
			}
		}
		verifiers = append(verifiers, v)
	}
	slices.SortStableFunc(verifiers, func(a, b oauth2.Verifier) int { return b.CreatedAt.Compare(a.CreatedAt) })
	r.Client.Verifiers = withinLimit(verifiers)
	watch(r.Client.Verifiers, w, now)
	return r, found
}

// withinLimit pushes out the secrets that would end first until no more than maxLive are accepted, pending ones aside.
func withinLimit(verifiers []oauth2.Verifier) []oauth2.Verifier {
	for live(verifiers) > maxLive {
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

// propose adds a secret that is about to be written to the user's Secret, unless it is registered already. It is accepted from now on and
// ends soon unless settle finds it there. Of the proposals the oldest make room for it, because the newest may still be on its way to the
// Secret. A secret that did reach one never does: maxLive leaves room beside those, and a record with more of them cannot be encoded.
func propose(r registration.Registration, secret oauth2.Credential, w wish, now time.Time) registration.Registration {
	digest := oauth2.DigestSecret(w.uid, secret.Value)
	first := ""
	if slices.ContainsFunc(r.Client.Verifiers, func(v oauth2.Verifier) bool { return v.Live(now) && v.Digest == digest }) {
		if first = r.Rotation.First; first == secret.ID && w.request == r.Rotation.Handled {
			return r
		}
	} else {
		verifiers := slices.Clone(r.Client.Verifiers)
		for oldest := oldestPending(verifiers); len(verifiers) >= oauth2.MaxVerifiers && oldest >= 0; oldest = oldestPending(verifiers) {
			verifiers = slices.Delete(verifiers, oldest, oldest+1)
		}
		verifiers = append(verifiers, verifier(secret.ID, secret.Value, w.uid, now, now.Add(pendingLife)))
		r.Client.Verifiers = verifiers
	}
	r.Rotation = registration.Rotation{Handled: r.Rotation.Handled, Planned: w.request, PlannedBy: secret.ID, First: first}
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

// schedule is when the next rotation of a settled registration is due; zero means never. blocked says that one is due and
// has to wait until then for an older secret to end.
func schedule(r registration.Registration, w wish, now time.Time) (due time.Time, blocked bool) {
	current, found := current(r)
	if !found {
		return time.Time{}, false
	}
	if w.interval > 0 {
		due = nextInterval(current.CreatedAt, w.interval, w.uid)
	}
	if w.request != "" && w.request != r.Rotation.Handled {
		due = now
	}
	if due.IsZero() || due.After(now) || live(r.Client.Verifiers) < maxLive || w.overlap == 0 {
		return due, false
	}
	return nextExpiry(r), true
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
func current(r registration.Registration) (oauth2.Verifier, bool) {
	index := slices.IndexFunc(r.Client.Verifiers, func(v oauth2.Verifier) bool { return !v.Pending && v.ExpiresAt.IsZero() })
	if index < 0 {
		return oauth2.Verifier{}, false
	}
	return r.Client.Verifiers[index], true
}

// nextExpiry is the first instant at which a secret ends; zero if none does.
func nextExpiry(r registration.Registration) time.Time {
	var first time.Time
	for _, v := range r.Client.Verifiers {
		if !v.ExpiresAt.IsZero() && (first.IsZero() || v.ExpiresAt.Before(first)) {
			first = v.ExpiresAt
		}
	}
	return first
}
