// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package credential

import (
	"crypto/rand"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/hallpass-dev/hallpass/internal/keyring"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
	"github.com/hallpass-dev/hallpass/internal/usage"
)

// createdWithA is the record of a client whose first secret is "a".
func createdWithA(verifiers ...oauth2.Verifier) Record {
	r := registered(verifiers...)
	r.Rotation.First = "a"
	return r
}

func secretOfAnotherManager(t *testing.T) oauth2.Credential {
	t.Helper()
	made, err := oauth2.NewClientSecret(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return made
}

// Of two managers that made the first secret of a client at once, one may have written the
// registration and the other the Secret.
func TestTheSecretOfAManagerThatWasAsQuickIsRegistered(t *testing.T) {
	theirs := secretOfAnotherManager(t)
	for name, c := range map[string]struct {
		record Record
		value  oauth2.Secret
		later  time.Duration
		want   string
	}{
		"the registration has its first secret, and the Secret another one": {
			createdWithA(of("a", 0)), theirs.Value, time.Minute, "a, " + theirs.ID + " pending until 6m0s",
		},
		"the registration is not there":                             {registered(), theirs.Value, time.Minute, theirs.ID + " pending until 6m0s"},
		"they have the same one":                                    {createdWithA(of("a", 0)), oauth2.NewSecret("a"), time.Minute, "a"},
		"somebody wrote it by hand":                                 {createdWithA(of("a", 0)), oauth2.NewSecret("hp_made_up"), time.Minute, "a"},
		"too late for another manager":                              {createdWithA(of("a", 0)), theirs.Value, PendingLife, "a"},
		"a secret was rotated since":                                {createdWithA(of("a", 0), of("b", time.Minute)), theirs.Value, 2 * time.Minute, "a, b"},
		"another secret is current":                                 {createdWithA(of("b", time.Minute)), theirs.Value, 2 * time.Minute, "b"},
		"the registration was not written together with the Secret": {registered(of("a", 0)), theirs.Value, time.Minute, "a"},
	} {
		t.Run(name, func(t *testing.T) {
			before := Keep(c.record, keyring.At(start.Add(c.later))).Record
			if got := sketch(adopt(before, Seen{Value: c.value}, Policy{UID: testUID}, keyring.At(start.Add(c.later)))); got != c.want {
				t.Errorf("%s, want %s", got, c.want)
			}
		})
	}
}

// A proposal takes the mark of a first secret away, so that a secret which was rotated out is never
// taken for that of a quick manager.
func TestNoSecretIsTheFirstOneAfterARotation(t *testing.T) {
	minted, err := oauth2.NewClientSecret(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	before := registered(of("a", 0))
	before.Rotation.First = "a"
	after := propose(before, Proposal{minted, keyring.At(start)}, Policy{UID: testUID})
	settled, found := settle(after, minted.Value, Policy{UID: testUID}, keyring.At(start))
	if !found || settled.Rotation.First != "" || justCreated(settled, start) {
		t.Errorf("%t: %+v", found, settled.Rotation)
	}
}

func TestNext(t *testing.T) {
	const day = 24 * time.Hour
	p := Policy{UID: testUID, Overlap: day, Request: "now", UnusedFor: time.Hour}
	handled := func(verifiers ...oauth2.Verifier) Record {
		return Record{Verifiers: verifiers, Rotation: Rotation{Handled: "now"}}
	}
	lost, err := oauth2.NewClientSecret(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	in := func(value string) Seen { return Seen{Present: true, Value: oauth2.NewSecret(value)} }
	for name, c := range map[string]struct {
		record Record
		seen   Seen
		want   string // the record
		reason Reason
		again  time.Duration // after start; zero for never
	}{
		"nothing is there yet":              {Record{}, Seen{}, "", Created, 0},
		"a Secret without a registration":   {Record{}, in("a"), "", Repaired, 0},
		"a first secret on its way":         {registered(of("a", 0, pending(time.Minute))), Seen{}, "a pending until 1m0s", Created, time.Minute},
		"a Secret that was deleted":         {handled(of("a", 0)), Seen{}, "a", Repaired, 0},
		"all is as it should be":            {handled(of("a", 0)), in("a"), "a", None, 0},
		"a request that is open":            {registered(of("a", 0)), in("a"), "a", Rotated, 0},
		"a secret that has ended":           {handled(of("b", 0), of("a", 0, until(0))), in("b"), "b", None, 0},
		"a secret that is about to end":     {handled(of("b", 0), of("a", 0, until(time.Minute))), in("b"), "b, a until 1m0s", None, time.Second},
		"a value that was put there":        {handled(of("a", 0)), in("x"), "a", Repaired, 0},
		"a value that was put there, live":  {handled(of("a", 0)), Seen{Live: true, Present: true, Value: lost.Value}, "a", Repaired, 0},
		"a lost registration, from a cache": {Record{Rotation: Rotation{Handled: "now"}}, Seen{Present: true, Value: lost.Value}, "", Repaired, 0},
		"a lost registration, live":         {Record{Rotation: Rotation{Handled: "old"}}, Seen{Live: true, Present: true, Value: lost.Value}, lost.ID, None, 0},
		"a declared secret that is known":   {registered(of("a", 0)), Seen{Declared: true, Present: true, Value: oauth2.NewSecret("a")}, "a", None, 0},
	} {
		t.Run(name, func(t *testing.T) {
			plan := Next(c.record, c.seen, p, keyring.At(start))
			if got := sketch(plan.Record); got != c.want || plan.Reason != c.reason {
				t.Errorf("%s, reason %d; want %s, %d", got, plan.Reason, c.want, c.reason)
			}
			again := time.Duration(0)
			if at := plan.Again(); !at.IsZero() {
				again = at.Sub(start)
			}
			if plan.Reason == None && again != c.again {
				t.Errorf("again after %s, want %s", again, c.again)
			}
		})
	}
}

func TestADeclaredSecretReplacesTheOneBefore(t *testing.T) {
	p := Policy{UID: testUID, Overlap: time.Hour, Interval: time.Hour, Request: "now"}
	now := start
	declared := func(r Record, value string) Plan {
		now = now.Add(time.Second)
		return Next(r, Seen{Declared: true, Present: true, Value: oauth2.NewSecret(value)}, p, keyring.At(now))
	}
	first := declared(Record{}, "one")
	id := first.Record.IDOf(oauth2.NewSecret("one"), p)
	if first.Declared != "" || len(id) != 12 || sketch(first.Record) != id || first.Reason != None || !first.Due.IsZero() {
		t.Errorf("the first one: %+v", first)
	}
	second := declared(first.Record, "two")
	if want := second.Declared + ", " + id + " until 1h0m2s"; second.Declared == "" || second.Declared == id || sketch(second.Record) != want {
		t.Errorf("the second one: %s, want %s", sketch(second.Record), want)
	}
	if again := declared(second.Record, "two"); again.Declared != "" || sketch(again.Record) != sketch(second.Record) {
		t.Errorf("the second one, seen again: %+v", again)
	}
}

func TestASecretUnderAFormerNameGoesOn(t *testing.T) {
	lost, err := oauth2.NewClientSecret(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	p := Policy{UID: testUID}
	for name, c := range map[string]struct {
		record Record
		value  oauth2.Secret
		want   bool
	}{
		"it is registered":  {registered(of("a", 0)), oauth2.NewSecret("a"), true},
		"it has ended":      {registered(of("b", 0), of("a", 0, until(0))), oauth2.NewSecret("a"), false},
		"it is another one": {registered(of("a", 0)), lost.Value, false},
		"it is well-formed, the registration is lost": {Record{}, lost.Value, true},
		"all that was registered has ended":           {registered(of("a", 0, until(0))), lost.Value, true},
		"it is not well-formed":                       {Record{}, oauth2.NewSecret("a"), false},
		"it is empty":                                 {registered(of("", 0)), oauth2.Secret{}, false},
	} {
		if got := c.record.Inherits(c.value, Generation{}, p, keyring.At(start)); got != c.want {
			t.Errorf("%s: %t, want %t", name, got, c.want)
		}
	}
}

func TestWhichValueMayBeAFirstSecret(t *testing.T) {
	theirs := secretOfAnotherManager(t)
	for name, c := range map[string]struct {
		record Record
		value  oauth2.Secret
		later  time.Duration
		want   bool
	}{
		"another manager may have made it":         {createdWithA(of("a", 0)), theirs.Value, time.Minute, true},
		"it is not well-formed":                    {createdWithA(of("a", 0)), oauth2.NewSecret("hp_made_up"), time.Minute, false},
		"it is empty":                              {createdWithA(of("a", 0)), oauth2.Secret{}, time.Minute, false},
		"too late for another manager":             {createdWithA(of("a", 0)), theirs.Value, PendingLife, false},
		"a secret was rotated since":               {createdWithA(of("a", 0), of("b", time.Minute)), theirs.Value, 2 * time.Minute, false},
		"the record was not made with its Secret":  {registered(of("a", 0)), theirs.Value, time.Minute, false},
		"there is no record, which Inherits knows": {registered(), theirs.Value, time.Minute, false},
	} {
		if got := c.record.MayBeFirst(c.value, keyring.At(start.Add(c.later))); got != c.want {
			t.Errorf("%s: %t, want %t", name, got, c.want)
		}
	}
}

// Its registration was written at once, and its Secret could not be: the event reports that it was
// created.
func TestAFirstSecretThatIsTriedAgainIsCreated(t *testing.T) {
	p := Policy{UID: testUID}
	made := Proposal{oauth2.Credential{ID: "a", Value: oauth2.NewSecret("a")}, keyring.At(start)}
	record := Plan{}.Create(made, p, keyring.At(start)).Record
	plan := Next(record, Seen{Live: true}, p, keyring.At(start.Add(time.Minute)))
	if plan.Reason != Repaired {
		t.Fatalf("reason %d", plan.Reason)
	}
	if plan = plan.Propose(made, p); plan.Reason != Created || sketch(plan.Record) != "a" {
		t.Errorf("reason %d, %s", plan.Reason, sketch(plan.Record))
	}
	if plan = plan.Commit(Uses{}, p, keyring.At(start.Add(time.Minute))); plan.Reason != None || sketch(plan.Record) != "a" {
		t.Errorf("reason %d, %s", plan.Reason, sketch(plan.Record))
	}
	other := Proposal{oauth2.Credential{ID: "b", Value: oauth2.NewSecret("b")}, keyring.At(start)}
	if plan = Next(record, Seen{Live: true}, p, keyring.At(start)).Propose(other, p); plan.Reason != Repaired {
		t.Errorf("another one: reason %d", plan.Reason)
	}
}

func TestUnusedSecretsAreRetiredByEvidence(t *testing.T) {
	p := Policy{UID: testUID, Overlap: 48 * time.Hour, UnusedFor: time.Hour}
	now := start.Add(10 * time.Hour)
	watched := of("a", 0, until(48*time.Hour))
	watched.WatchedSince = start
	replica := usage.Replica{Name: "web-1", StartedAt: start.Add(-time.Hour), CoveredUntil: now, Complete: true}
	reported := func(used time.Duration) Uses {
		return Uses{Read: true, Replicas: []usage.Replica{replica}, LastUsed: map[string]usage.Minute{"a": usage.MinuteOf(start.Add(used))}}
	}
	for name, c := range map[string]struct {
		uses    Uses
		retired string
		finding usage.Finding
		again   time.Duration
	}{
		"it is unused":                 {reported(time.Hour), "[a]", "", 0},
		"it was used a moment ago":     {reported(10 * time.Hour), "[]", usage.NotUnusedForLong, time.Hour},
		"no replica reports":           {Uses{Read: true}, "[]", usage.NotReported, 5 * time.Minute},
		"the reports are not read yet": {Uses{}, "[]", "", time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			plan := Next(Record{Verifiers: []oauth2.Verifier{of("b", time.Hour), watched}}, Seen{Present: true, Value: oauth2.NewSecret("b"), Uses: c.uses}, p, keyring.At(now))
			if got := fmt.Sprint(plan.Retired); got != c.retired || plan.Kept["a"].Finding != c.finding {
				t.Errorf("retired %s, kept %+v; want %s, %q", got, plan.Kept, c.retired, c.finding)
			}
			again := plan.EvidenceAt.Sub(now)
			if c.again == 0 && !plan.EvidenceAt.IsZero() || c.again > 0 && (again < c.again || again > 2*c.again) {
				t.Errorf("judged again in %s, want %s", again, c.again)
			}
		})
	}
}

// TestARequestCanDoWithoutAnOverlap carries out a request that ends what it replaces at once, also
// where the manager stops between its writes, and rotates with an overlap afterwards.
func TestARequestCanDoWithoutAnOverlap(t *testing.T) {
	const day = 24 * time.Hour
	now := keyring.At(start)
	policy := Policy{UID: testUID, Overlap: day, UnusedFor: time.Hour, Request: "leaked", AtOnce: true}
	full := []oauth2.Verifier{of("a", 0), of("old", -time.Hour, until(time.Hour)), of("older", -2*time.Hour, until(2*time.Hour))}
	secretOf := func(id string) oauth2.Credential { return oauth2.Credential{ID: id, Value: oauth2.NewSecret(id)} }

	plan := Next(registered(full...), Seen{Present: true, Value: oauth2.NewSecret("a")}, policy, now)
	if plan.Reason != Rotated || plan.Blocked {
		t.Fatalf("with three secrets it waits: reason %d, blocked %t", plan.Reason, plan.Blocked)
	}
	plan = plan.Propose(Proposal{secretOf("b"), now}, policy)
	if got := sketch(plan.Record); !strings.Contains(got, "a, ") || !strings.Contains(got, "b pending") {
		t.Errorf("the old secret ends before the new one is in the Secret: %s", got)
	}
	const want = "b, old until 1h0m0s, older until 2h0m0s"
	done := plan.Commit(Uses{}, policy, now)
	if got := sketch(done.Record); got != want || done.Record.Rotation.Handled != "leaked" {
		t.Errorf("committed: %s, handled %q, want %s", got, done.Record.Rotation.Handled, want)
	}
	found := Next(plan.Record, Seen{Present: true, Value: oauth2.NewSecret("b")}, policy, now)
	if got := sketch(found.Record); got != want || found.Reason != None {
		t.Errorf("found by the next manager: %s, reason %d", got, found.Reason)
	}

	later := keyring.At(start.Add(3 * time.Hour))
	for name, next := range map[string]Policy{
		"on its own, while the annotations stay": {UID: testUID, Overlap: day, Interval: time.Hour, Request: "leaked", AtOnce: true},
		"by another request":                     {UID: testUID, Overlap: day, Request: "another"},
	} {
		again := Next(done.Record, Seen{Present: true, Value: oauth2.NewSecret("b")}, next, later)
		if again.Reason != Rotated {
			t.Errorf("%s: it does not rotate", name)
		}
		again = again.Propose(Proposal{secretOf("c"), later}, next).Commit(Uses{}, next, later)
		if got := sketch(again.Record); got != "c, b until 27h0m0s" {
			t.Errorf("%s: %s", name, got)
		}
	}

	declared := Next(registered(of("a", 0)), Seen{Declared: true, Present: true, Value: oauth2.NewSecret("b")}, policy, now)
	if got := sketch(declared.Record); !strings.Contains(got, "a until 24h0m0s") {
		t.Errorf("a declared secret loses its overlap by a request that is never carried out: %s", got)
	}
}
