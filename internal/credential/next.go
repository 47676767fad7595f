// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package credential

import (
	"encoding/base32"
	"slices"
	"time"

	"github.com/hallpass-dev/hallpass/internal/oauth2"
	"github.com/hallpass-dev/hallpass/internal/usage"
)

// Seen is what was read of a client beside its record.
type Seen struct {
	// Live is whether the value was read from the API server, not from a cache. Only then may a
	// well-formed value that no verifier matches be registered: the registration may be lost,
	// and the Secret is the only place that has the value.
	Live bool
	// Declared is whether the Secret is the user's own: each value is registered, none is
	// minted.
	Declared bool
	// Present is whether the Secret exists. Value is the secret in it, or one that it inherits.
	Present bool
	Value   oauth2.Secret
	// Generation is what the Secret proves of Value; zero if it proves nothing.
	Generation Generation
	// Reported is what the status reports of a lost registration; zero if none was lost.
	Reported Reported
	// Unhandled means that a request to rotate was not carried out before the registration was
	// lost. Otherwise a value that is adopted counts as the answer to it: a restored namespace
	// rotates nothing.
	Unhandled bool
	// Uses are what is known of the use of replaced secrets.
	Uses Uses
}

// Reason is why a new secret has to be made.
type Reason int

// The reasons.
const (
	None     Reason = iota // the value in the Secret is registered, and no rotation is due
	Created                // no secret has reached the Secret yet
	Repaired               // the value in the Secret is missing or not registered
	Rotated                // a rotation is due
)

// The stored form of the reasons of a secret that takes the place of another one.
const (
	causeRepaired = "repaired"
	causeRotated  = "rotated"
)

// cause is the stored form of a reason; empty if there is none.
func (r Reason) cause() string {
	switch r {
	case Repaired:
		return causeRepaired
	case Rotated:
		return causeRotated
	case None, Created:
	}
	return ""
}

// ReasonOf is why a secret was made that is on its way to the user's Secret. A record of before the
// causes does not have it: then the secret answers the request that was planned with it, or the
// rotation that was due.
func (r Record) ReasonOf(made oauth2.Verifier, p Policy) Reason {
	answers := r.Rotation.PlannedBy == made.ID
	switch {
	case answers && r.Rotation.Cause == causeRepaired:
		return Repaired
	case answers && r.Rotation.Cause == causeRotated:
		return Rotated
	case !slices.ContainsFunc(r.Verifiers, reached):
		return Created
	case answers && r.Rotation.Planned != r.Rotation.Handled, r.wasDue(made.CreatedAt, p):
		return Rotated
	}
	return Repaired
}

// Plan is the next state of the secrets of a client.
type Plan struct {
	// Record is what has to be registered.
	Record Record
	// Value is the secret for the user's Secret.
	Value oauth2.Secret
	// Generation is what the user's Secret has to prove of Value.
	Generation Generation
	// Reason is why a new secret has to be made.
	Reason Reason
	// Due is when the next rotation comes. Blocked means that it waits for a secret to end.
	Due     time.Time
	Blocked bool
	// Declared is the id of a declared secret that has just taken the place of another.
	Declared string
	// NextEnd is when the next secret ends, or may be dropped that has ended; zero if none
	// does.
	NextEnd time.Time
	// Expired are the ids of secrets that have ended, Retired those ended for being unused.
	Expired, Retired []string
	// Kept is why watched secrets live on, or nil. EvidenceAt is when it may change.
	Kept       map[string]usage.Answer
	EvidenceAt time.Time
}

// Next decides about the secrets of a client. A plan with a Reason is not finished: the
// caller stores the record of Propose, writes the user's Secret, and stores the record of Commit.
func Next(r Record, s Seen, p Policy, now Time) Plan {
	if !s.Declared { // no request changes a declared secret
		p = p.of(r)
	}
	plan := Keep(r, now)
	plan.Value = s.Value
	r = plan.Record
	if !s.Declared && len(r.Verifiers) == 0 {
		r.Rotation.Generation = max(r.Rotation.Generation, s.Reported.after(idIn(s.Value)))
	}
	if s.Live {
		r = adopt(r, s, p, now)
	}
	if s.Declared {
		r, plan.Declared = register(r, s.Value, p, now)
	}
	if id := r.IDOf(s.Value, p); r.precedes(s.Generation) && r.place(s.Value, p, now.Past()) >= 0 {
		r = endReplaced(r, s, p, now)
		// the record may have the value as on its way, by a request of before
		if !s.Unhandled {
			r.Rotation = r.Rotation.answeredBy(id, p.Request)
		}
	}
	settled, found := settle(r, s.Value, p, now)
	if found && !s.Declared {
		settled.Rotation.Generation = max(settled.Rotation.Generation, s.Generation.Number)
		plan.Generation = settled.generationOf(settled.place(s.Value, p, now.Past()))
	}
	switch {
	case !found && !s.Present && !slices.ContainsFunc(r.Verifiers, reached):
		plan.Reason = Created
	case !found:
		plan.Reason = Repaired
	case !s.Declared:
		plan.Due, plan.Blocked = schedule(settled, p, now)
		if !plan.Due.IsZero() && !plan.Due.After(now.Earliest) && !plan.Blocked {
			plan.Reason = Rotated
		}
	}
	if plan.Record = settled; plan.Reason == None {
		plan.retire(s.Uses, p, now)
	}
	plan.NextEnd = nextEnd(plan.Record, now)
	return plan
}

// reached reports whether a secret was in the user's Secret.
func reached(v oauth2.Verifier) bool { return !v.Pending }

// Keep is the plan without a read of the Secret: what has ended is dropped, nothing else changes.
func Keep(r Record, now Time) Plan {
	var plan Plan
	// a secret that never reached the user's Secret is not worth an event
	for _, v := range r.Verifiers {
		if !v.Pending && !v.Live(now.Past()) {
			plan.Expired = append(plan.Expired, v.ID)
		}
	}
	r.Verifiers = slices.DeleteFunc(slices.Clone(r.Verifiers), func(v oauth2.Verifier) bool { return !v.Live(now.Past()) })
	plan.Record, plan.NextEnd = r, nextEnd(r, now)
	return plan
}

// Again is when the plan may be another one without any change that is watched; zero for never.
func (p *Plan) Again() time.Time {
	return Earliest(p.NextEnd, p.Due, p.EvidenceAt)
}

// Earliest is the first of some instants, of which zero ones do not count.
func Earliest(instants ...time.Time) time.Time {
	var first time.Time
	for _, at := range instants {
		if !at.IsZero() && (first.IsZero() || at.Before(first)) {
			first = at
		}
	}
	return first
}

// Proposal is a secret on its way to the user's Secret. While it is young, each attempt writes it.
type Proposal struct {
	oauth2.Credential

	At Time
}

// Is reports whether the secret is this value.
func (made Proposal) Is(value oauth2.Secret) bool {
	return oauth2.DigestSecret("", made.Value) == oauth2.DigestSecret("", value)
}

// Propose is the plan with a new secret. Its record is written before the user's Secret, and Commit
// has what follows then.
func (p Plan) Propose(made Proposal, policy Policy) Plan {
	p.Record, p.Value = propose(p.Record, made, policy), made.Value
	p.Generation = p.Record.generationOf(slices.IndexFunc(p.Record.Verifiers, func(v oauth2.Verifier) bool { return v.ID == made.ID }))
	if p.Record.Rotation.First == made.ID {
		// its registration was written at once, and its Secret could not be
		p.Reason = Created
	}
	p.Record.Rotation.Cause = p.Reason.cause()
	return p
}

// Commit is the plan once the proposed secret is in the user's Secret.
func (p Plan) Commit(uses Uses, policy Policy, now Time) Plan {
	next := Next(p.Record, Seen{Present: true, Value: p.Value, Uses: uses}, policy, now)
	next.Expired = slices.Concat(p.Expired, next.Expired)
	return next
}

// Create is the plan of a client that has neither a record nor a Secret, with its first secret.
// Both are written at the same time: the secret is current from the start.
func (p Plan) Create(made Proposal, policy Policy, now Time) Plan {
	p.Record = Record{Rotation: Rotation{Generation: p.Record.Rotation.Generation}}
	p.Record, _ = settle(propose(p.Record, made, policy), made.Value, policy, now)
	p.Record.Rotation.First = made.ID
	p.Value, p.Generation = made.Value, p.Record.generationOf(p.Record.current())
	return p
}

// Inherits reports whether a Secret that gets another name keeps its value: it is still accepted,
// or it is well-formed and the registration was lost, or is older.
func (r Record) Inherits(value oauth2.Secret, proven Generation, p Policy, now Time) bool {
	r = Keep(r, now).Record
	if len(r.Verifiers) == 0 || r.precedes(proven) {
		_, err := oauth2.ParseClientSecret(value)
		return err == nil
	}
	return r.IDOf(value, p) != ""
}

// MayBeFirst reports whether a value that is not registered may be the first secret of the client:
// the record may still be in the making, and another manager may have written the Secret.
func (r Record) MayBeFirst(value oauth2.Secret, now Time) bool {
	return justCreated(Keep(r, now).Record, now.Earliest) && idIn(value) != ""
}

// Accepts reports whether a value is registered and has not ended.
func (r Record) Accepts(value oauth2.Secret, p Policy, now time.Time) bool {
	return r.place(value, p, now) >= 0
}

// Replaced reports whether another value has taken the place of a value that is still accepted. A
// caller that finds it in the Secret after all reads that live: a cache that is late would give the
// one that applications hold an end.
func (r Record) Replaced(value oauth2.Secret, p Policy, now Time) bool {
	at := r.place(value, p, now.Past())
	return at >= 0 && r.Verifiers[at].Replaced()
}

// IDOf is the id of a value; empty if it is not registered.
func (r Record) IDOf(value oauth2.Secret, p Policy) string {
	if i := r.place(value, p, time.Time{}); i >= 0 {
		return r.Verifiers[i].ID
	}
	return ""
}

// idIn is the id in a well-formed value; empty if it is another one.
func idIn(value oauth2.Secret) string {
	of, err := oauth2.ParseClientSecret(value)
	if err != nil {
		return ""
	}
	return of.ID
}

// adopt registers the value in the Secret where it never was, or where the registration was lost or
// is older than the Secret.
func adopt(r Record, s Seen, p Policy, now Time) Record {
	if len(r.Verifiers) > 0 && !justCreated(r, now.Earliest) && !r.precedes(s.Generation) || r.place(s.Value, p, now.Past()) >= 0 {
		return r
	}
	if s.Unhandled {
		p.Request = r.Rotation.Handled
	}
	if found, err := oauth2.ParseClientSecret(s.Value); err == nil {
		if r.precedes(s.Generation) {
			now.Earliest = s.Generation.Made
		}
		return propose(r, Proposal{found, now}, p)
	}
	return r
}

// justCreated reports whether a record may still be in the making: it has its first secret alone.
func justCreated(r Record, now time.Time) bool {
	return len(r.Verifiers) == 1 && r.Verifiers[0].ID == r.Rotation.First && now.Before(r.Verifiers[0].CreatedAt.Add(PendingLife))
}

// register registers a declared value. It is in its Secret already, so there is no order of writes
// to keep. It returns the id of a value that replaces another.
func register(r Record, value oauth2.Secret, p Policy, now Time) (Record, string) {
	if r.place(value, p, now.Past()) >= 0 {
		return r, ""
	}
	id, replaces := declaredID(oauth2.DigestSecret(p.UID, value)), ""
	if len(r.Verifiers) > 0 {
		replaces = id
	}
	return propose(r, Proposal{oauth2.Credential{ID: id, Value: value}, now}, p), replaces
}

var declaredEncoding = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// declaredID names a secret without an id in it. It is as long as the ids in generated secrets.
func declaredID(digest oauth2.Digest) string { return declaredEncoding.EncodeToString(digest[:])[:12] }
