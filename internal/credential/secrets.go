// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package credential

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"slices"
	"time"

	"github.com/hallpass-dev/hallpass/internal/oauth2"
	"github.com/hallpass-dev/hallpass/internal/usage"
)

// MaxLive bounds the secrets of a client that are accepted at once, pending ones aside.
const MaxLive = 3

// Record is what is registered of the secrets of a client.
type Record struct {
	Verifiers []oauth2.Verifier
	Rotation  Rotation
}

// Rotation is what the manager has to remember about rotation and creation. It is stored beside the
// verifiers, because a status can be edited or lost.
type Rotation struct {
	// Handled is the last request that was carried out.
	Handled string
	// Planned is the request that PlannedBy answers once the Secret has the secret of that id.
	Planned, PlannedBy string
	// Cause is why PlannedBy was made, for the manager that finds it in the Secret: the one
	// that wrote it may have ended. It is empty for a first secret, and in a record that a
	// version of before the field wrote.
	Cause string
	// First is the verifier that the registration was created with, until another one is
	// proposed. It was written at the same time as the user's Secret, so that Secret may have
	// another value: that of a manager which was as quick.
	First string
	// Generation is the number of the generation of the current secret.
	Generation int64
}

// answeredBy plans that a secret which is in the Secret already answers a request.
func (r Rotation) answeredBy(id, request string) Rotation {
	if r.PlannedBy != id {
		r.Cause = ""
	}
	r.Planned, r.PlannedBy = request, id
	return r
}

// Policy is what the user wants of the secrets of a client.
type Policy struct {
	UID      string
	Interval time.Duration // zero: never on its own
	// Overlap is how long a replaced secret still works.
	Overlap time.Duration
	// UnusedFor ends a replaced secret once it was unused for that long; zero: never.
	UnusedFor time.Duration
	Request   string // the value of the rotate annotation
	// AtOnce has the Request end what it replaces at once. Other rotations keep the overlap.
	AtOnce bool
}

// of is the policy of the next rotation of a record: without an overlap while a request that ends
// what it replaces is not carried out.
func (p Policy) of(r Record) Policy {
	if p.AtOnce && p.Request != "" && p.Request != r.Rotation.Handled {
		p.Overlap = 0
	}
	return p
}

// place is where the verifier of a value is that has not ended by past; negative if there is none.
func (r Record) place(value oauth2.Secret, p Policy, past time.Time) int {
	digest := oauth2.DigestSecret(p.UID, value)
	return slices.IndexFunc(r.Verifiers, func(v oauth2.Verifier) bool { return v.Digest == digest && v.Live(past) && !value.Empty() })
}

// settle brings a record in line with the user's Secret. A value that matches a verifier is
// current, whatever was planned: its verifier loses its end, and the one that was current ends
// after the overlap. Without such a value only what has ended is dropped, and settle returns false.
func settle(r Record, value oauth2.Secret, p Policy, now Time) (Record, bool) {
	at := r.place(value, p, now.Past())
	number := r.generationOf(at).Number
	end := now.Latest.Add(p.Overlap).UTC().Truncate(time.Second)
	var replaced []string
	r.Verifiers = commit(r.Verifiers, at, now.Past(), func(v oauth2.Verifier, isCurrent bool) (oauth2.Verifier, bool) {
		switch {
		case isCurrent:
			v.Pending, v.ExpiresAt = false, time.Time{}
			if r.Rotation.PlannedBy == v.ID {
				r.Rotation = Rotation{Handled: r.Rotation.Planned, Generation: r.Rotation.Generation}
			}
		case v.ExpiresAt.IsZero():
			v.ExpiresAt = end
			replaced = append(replaced, v.ID)
			return v, p.Overlap > 0
		}
		return v, true
	})
	if at < 0 {
		return r, false
	}
	r.Rotation.Generation = number
	slices.SortStableFunc(r.Verifiers, func(a, b oauth2.Verifier) int { return b.CreatedAt.Compare(a.CreatedAt) })
	// What was replaced just now goes last, because it is in use: if the clock was turned back,
	// others end after it.
	former := func(v oauth2.Verifier) int { return slices.Index(replaced, v.ID) }
	r.Verifiers = evict(r.Verifiers, accepted(r.Verifiers, now.Past())-MaxLive, oauth2.Verifier.Replaced,
		func(a, b oauth2.Verifier) int {
			return cmp.Or(cmp.Compare(former(a), former(b)), a.ExpiresAt.Compare(b.ExpiresAt))
		})
	watchReplaced(r.Verifiers, p, now.Latest)
	return r, true
}

// accepted counts the secrets that are accepted at an instant, pending ones aside.
func accepted(verifiers []oauth2.Verifier, at time.Time) int {
	count := 0
	for _, v := range verifiers {
		if !v.Pending && v.Live(at) {
			count++
		}
	}
	return count
}

// propose adds a secret that is about to be written to the user's Secret. It is accepted from now
// on, and ends soon unless settle finds it there. The oldest pending ones make room for it: the
// newest may still be on its way. A secret that reached a Secret never does.
func propose(r Record, made Proposal, p Policy) Record {
	first := ""
	if r.place(made.Value, p, made.At.Past()) >= 0 {
		if first = r.Rotation.First; first == made.ID && p.Request == r.Rotation.Handled {
			return r
		}
	} else {
		pending := func(v oauth2.Verifier) bool { return v.Pending }
		r.Verifiers = evict(r.Verifiers, len(r.Verifiers)+1-oauth2.MaxVerifiers, pending,
			func(a, b oauth2.Verifier) int { return a.CreatedAt.Compare(b.CreatedAt) })
		// times are whole seconds, as they are stored and shown
		r.Verifiers = append(r.Verifiers, oauth2.Verifier{
			ID: made.ID, Digest: oauth2.DigestSecret(p.UID, made.Value), Pending: true,
			CreatedAt: made.At.Earliest.UTC().Truncate(time.Second), ExpiresAt: made.At.Latest.Add(PendingLife).UTC().Truncate(time.Second),
		})
	}
	r.Rotation = Rotation{Handled: r.Rotation.Handled, Planned: p.Request, PlannedBy: made.ID, First: first, Generation: r.Rotation.Generation}
	return r
}

// schedule is when the next rotation of a settled registration is due; zero means never. blocked
// means that one is due and has to wait until then for an older secret to end.
func schedule(r Record, p Policy, now Time) (due time.Time, blocked bool) {
	if r.current() < 0 {
		return time.Time{}, false
	}
	due = r.AutomaticallyDue(p)
	if p.Request != "" && p.Request != r.Rotation.Handled {
		due = now.Earliest
	}
	if due.IsZero() || due.After(now.Earliest) || accepted(r.Verifiers, now.Earliest) < MaxLive || p.Overlap == 0 {
		return due, false
	}
	return nextEnd(r, now), true
}

// current is where the current secret is; negative if there is none.
func (r Record) current() int {
	return slices.IndexFunc(r.Verifiers, func(v oauth2.Verifier) bool { return v.ExpiresAt.IsZero() })
}

// AutomaticallyDue is when the next automatic rotation is due, whether or not it can be carried
// out; zero if none is planned.
func (r Record) AutomaticallyDue(p Policy) time.Time {
	current := r.current()
	if current < 0 || p.Interval == 0 {
		return time.Time{}
	}
	return nextInterval(r.Verifiers[current].CreatedAt, p.Interval, p.UID)
}

// wasDue reports whether an automatic rotation was due at an instant.
func (r Record) wasDue(at time.Time, p Policy) bool {
	due := r.AutomaticallyDue(p)
	return !due.IsZero() && !due.After(at)
}

// nextInterval is the client's first turn after created. Turns are an interval apart, at a place in
// it that the UID picks, so that clients which were created together do not rotate together.
func nextInterval(created time.Time, interval time.Duration, uid string) time.Time {
	sum := sha256.Sum256([]byte(uid))
	phase := time.Duration(binary.BigEndian.Uint64(sum[:]) % uint64(interval)).Truncate(time.Second) //nolint:gosec // an interval is an hour or more
	turn := created.Truncate(interval).Add(phase)
	for !turn.After(created) {
		turn = turn.Add(interval)
	}
	return turn
}

// nextEnd is the first instant at which a secret ends, or at which one that has ended may be
// dropped; zero if there is none.
func nextEnd(r Record, now Time) time.Time {
	var first time.Time
	for _, v := range r.Verifiers {
		end := v.ExpiresAt
		if !end.IsZero() && !end.After(now.Earliest) {
			end = now.Earliest.Add(agreement)
		}
		first = Earliest(first, end)
	}
	return first
}

const (
	// evidenceAgain is how soon reports are evaluated again: they come every ten minutes at
	// least.
	evidenceAgain = 5 * time.Minute
	// evidenceSoon is how soon they are evaluated while a manager that has just started reads
	// them.
	evidenceSoon = time.Second
)

// Uses are what all replicas of the token server report of the secrets of a client.
type Uses struct {
	// Namespace is that of the client.
	Namespace string
	// Read is whether each report was read. Until then nothing is decided.
	Read     bool
	Replicas []usage.Replica
	// LastUsed are the last uses that are known, by the ids of the secrets.
	LastUsed map[string]usage.Minute
}

// watchReplaced marks the secrets that are replaced, and to end once they are unused, with the
// instant.
func watchReplaced(verifiers []oauth2.Verifier, p Policy, now time.Time) {
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

// retire ends the replaced secrets that all replicas prove unused, and notes why others live on. It
// waits for the clocks to agree.
func (p *Plan) retire(uses Uses, policy Policy, now Time) {
	if !slices.ContainsFunc(p.Record.Verifiers, oauth2.Verifier.Watched) {
		return
	}
	switch {
	case !uses.Read:
		p.EvidenceAt = now.Earliest.Add(evidenceSoon)
		return
	case !now.Agreed:
		p.EvidenceAt = now.Earliest.Add(agreement)
		return
	}
	p.Kept = map[string]usage.Answer{}
	p.Record.Verifiers = slices.DeleteFunc(slices.Clone(p.Record.Verifiers), func(v oauth2.Verifier) bool {
		if !v.Watched() {
			return false
		}
		answer := usage.Judge(uses.Replicas, usage.Question{
			Namespace: uses.Namespace, WatchedSince: v.WatchedSince, LastUsed: uses.LastUsed[v.ID], UnusedFor: policy.UnusedFor, Now: now.Earliest,
		})
		if answer.Finding == usage.Unused {
			p.Retired = append(p.Retired, v.ID)
			return true
		}
		p.Kept[v.ID] = answer
		again := answer.Ask
		if again.Before(now.Earliest.Add(evidenceAgain)) {
			again = now.Earliest.Add(evidenceAgain)
		}
		p.EvidenceAt = Earliest(p.EvidenceAt, again)
		return false
	})
}
