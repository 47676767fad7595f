// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package credential

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hallpass-dev/hallpass/internal/keyring"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
)

// generation is a record that is at a generation.
func generation(number int64, verifiers ...oauth2.Verifier) Record {
	return Record{Verifiers: verifiers, Rotation: Rotation{Handled: "now", Generation: number}}
}

// TestARegistryOfYesterdayFollowsTheSecret: the registry was restored, and the Secret has what was
// made since.
func TestARegistryOfYesterdayFollowsTheSecret(t *testing.T) {
	const day = 24 * time.Hour
	made, err := oauth2.NewClientSecret(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	proves := func(number int64, made time.Duration) Generation { return Generation{number, start.Add(made)} }
	for name, c := range map[string]struct {
		record  Record
		proven  Generation
		overlap time.Duration
		now     time.Duration
		want    string
		number  int64
		reason  Reason
	}{
		"a higher generation is current, and what the record has ends after the rest of its overlap": {
			generation(3, of("a", -day)), proves(4, 0), day, 12 * time.Hour, made.ID + ", a until 24h5m0s", 4, None,
		},
		"a rotation of a moment ago breaks no caller": {
			generation(3, of("a", -day)), proves(4, 0), day, time.Minute, made.ID + ", a until 24h1m0s", 4, None,
		},
		"what was replaced long ago ends at once": {
			generation(3, of("a", -day)), proves(4, 0), day, 2 * day, made.ID, 4, None,
		},
		"without an overlap what was replaced ends at once": {
			generation(3, of("a", -day)), proves(4, 0), 0, time.Minute, made.ID, 4, None,
		},
		"a proof from a clock that was ahead gives no longer overlap": {
			generation(3, of("a", -day)), proves(4, 100*day), day, time.Minute, made.ID + ", a until 24h1m0s", 4, None,
		},
		"what has an end keeps it": {
			generation(3, of("a", -day), of("z", -2*day, until(time.Hour))), proves(9, 0), day, 2 * time.Minute,
			made.ID + ", a until 24h2m0s, z until 1h0m0s", 9, None,
		},
		"a record of before there were generations": {
			generation(0, of("a", -day)), proves(1, 0), day, 12 * time.Hour, made.ID + ", a until 24h5m0s", 1, None,
		},
		"a lost record": {
			Record{}, proves(4, 0), day, time.Hour, made.ID, 4, None,
		},
		"a record that lost its generation": {
			generation(0, of(made.ID, 0, digestOf(made.Value)), of("a", -day, until(day))), proves(4, 0), day, time.Hour, made.ID + ", a until 24h0m0s", 4, None,
		},
		"what was rotated out does not come back by a lower generation": {generation(3, of("a", -day)), proves(2, 0), day, time.Hour, "a", 3, Repaired},
		"nor by the same one":                           {generation(3, of("a", -day)), proves(3, 0), day, time.Hour, "a", 3, Repaired},
		"nor by a higher one where the number was lost": {generation(0, of("c", 10*day)), proves(5, 0), day, 12 * day, "c", 0, Repaired},
		"nor without a proof":                           {generation(3, of("a", -day)), Generation{}, day, time.Hour, "a", 3, Repaired},
	} {
		t.Run(name, func(t *testing.T) {
			seen := Seen{Live: true, Present: true, Value: made.Value, Generation: c.proven}
			p, now := Policy{UID: testUID, Overlap: c.overlap, Request: "now"}, keyring.At(start.Add(c.now))
			plan := Next(c.record, seen, p, now)
			if got := sketch(plan.Record); got != c.want || plan.Reason != c.reason || plan.Record.Rotation.Generation != c.number {
				t.Errorf("%s, generation %d, reason %d; want %s, %d, %d", got, plan.Record.Rotation.Generation, plan.Reason, c.want, c.number, c.reason)
			}
			if c.reason != None {
				return
			}
			if c.proven.Made.Before(now.Latest) && plan.Generation != c.proven {
				t.Errorf("the Secret has to prove %+v, and proves %+v", plan.Generation, c.proven)
			}
			again := Next(plan.Record, seen, p, now)
			if diff := cmp.Diff(plan, again, cmp.AllowUnexported(oauth2.Secret{})); diff != "" {
				t.Errorf("a second look (-first +second):\n%s", diff)
			}
		})
	}
}

// TestTheStatusCountsWhereTheRecordIsLost: and nowhere else.
func TestTheStatusCountsWhereTheRecordIsLost(t *testing.T) {
	made, err := oauth2.NewClientSecret(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	p, now := Policy{UID: testUID, Request: "now"}, keyring.At(start)
	for name, c := range map[string]struct {
		record   Record
		value    oauth2.Secret
		reported Reported
		proven   int64
		want     int64
	}{
		"a client that is new":                                {Record{}, made.Value, Reported{}, 0, 0},
		"one whose secret was never rotated":                  {Record{}, made.Value, Reported{made.ID, 0}, 0, 0},
		"one that was never rotated, and has another secret":  {Record{}, made.Value, Reported{"a", 0}, 0, 1},
		"the current secret":                                  {Record{}, made.Value, Reported{made.ID, 4}, 0, 4},
		"another one, which has replaced it":                  {Record{}, made.Value, Reported{"a", 4}, 0, 5},
		"one of which the status has the number alone":        {Record{}, made.Value, Reported{"", 4}, 0, 5},
		"one that is made, because that in the Secret is bad": {Record{}, oauth2.NewSecret("scribble"), Reported{"a", 4}, 0, 5},
		"one that is made, because there is none":             {Record{}, oauth2.Secret{}, Reported{"a", 4}, 0, 5},
		"what the Secret proves, if it is higher":             {Record{}, made.Value, Reported{made.ID, 4}, 7, 7},
		"not what it proves, if it is lower":                  {Record{}, made.Value, Reported{made.ID, 4}, 3, 4},
		"a number that is too high":                           {Record{}, made.Value, Reported{made.ID, math.MaxInt64}, 0, maxReported},
		"a number that is too high, of another one":           {Record{}, made.Value, Reported{"a", math.MaxInt64}, 0, maxReported + 1},
		"a number that is too low":                            {Record{}, made.Value, Reported{made.ID, math.MinInt64}, 0, 0},
		"a record counts for itself":                          {generation(2, of(made.ID, 0, digestOf(made.Value))), made.Value, Reported{made.ID, 9}, 0, 2},
		"a record of a client without secrets has its own":    {generation(6), made.Value, Reported{made.ID, 4}, 0, 6},
	} {
		t.Run(name, func(t *testing.T) {
			seen := Seen{Live: true, Present: !c.value.Empty(), Value: c.value, Generation: Generation{c.proven, start}, Reported: c.reported}
			plan := Next(c.record, seen, p, now)
			switch plan.Reason {
			case Created:
				plan = plan.Create(Proposal{made, now}, p, now)
			case Repaired:
				plan = plan.Propose(Proposal{made, now}, p).Commit(Uses{}, p, now)
			case None, Rotated:
			}
			if got := plan.Record.Rotation.Generation; got != c.want || plan.Generation.Number != c.want {
				t.Errorf("the record has generation %d, and the Secret proves %d; want %d", got, plan.Generation.Number, c.want)
			}
		})
	}
}

func digestOf(value oauth2.Secret) func(*oauth2.Verifier) {
	return func(v *oauth2.Verifier) { v.Digest = oauth2.DigestSecret(testUID, value) }
}

// TestAProofCountsOnlyOnALiveRead: a cache may have a record that is late.
func TestAProofCountsOnlyOnALiveRead(t *testing.T) {
	made, err := oauth2.NewClientSecret(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	plan := Next(generation(3, of("a", 0)), Seen{Present: true, Value: made.Value, Generation: Generation{4, start}}, Policy{UID: testUID, Request: "now"}, keyring.At(start))
	if got := sketch(plan.Record); got != "a" || plan.Reason != Repaired {
		t.Errorf("%s, reason %d", got, plan.Reason)
	}
}

// TestARequestOfBeforeTheBackupIsNotHandledAgain: the record of yesterday lacks it, and the Secret
// is its answer.
func TestARequestOfBeforeTheBackupIsNotHandledAgain(t *testing.T) {
	made, err := oauth2.NewClientSecret(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	seen := Seen{Live: true, Present: true, Value: made.Value, Generation: Generation{4, start}}
	p := Policy{UID: testUID, Overlap: time.Hour, Request: "later"}
	if plan := Next(generation(3, of("a", 0)), seen, p, keyring.At(start)); plan.Reason != None || plan.Record.Rotation.Handled != "later" {
		t.Errorf("reason %d, handled %q", plan.Reason, plan.Record.Rotation.Handled)
	}
	onItsWay := propose(generation(3, of("a", 0)), Proposal{made, keyring.At(start)}, Policy{UID: testUID, Overlap: time.Hour, Request: "before"})
	if plan := Next(onItsWay, seen, p, keyring.At(start)); plan.Reason != None || plan.Record.Rotation.Handled != "later" {
		t.Errorf("a backup with the value on its way: reason %d, handled %q", plan.Reason, plan.Record.Rotation.Handled)
	}
	seen.Unhandled = true
	if plan := Next(onItsWay, seen, p, keyring.At(start)); plan.Reason != Rotated {
		t.Errorf("a request that came since: reason %d", plan.Reason)
	}
	if plan := Next(generation(3, of("a", 0)), seen, p, keyring.At(start)); plan.Reason != Rotated {
		t.Errorf("a request that is open: reason %d", plan.Reason)
	}
}

// TestEachReplacementIsAGeneration: a first secret is none, so that no Secret of before proofs is
// written again.
func TestEachReplacementIsAGeneration(t *testing.T) {
	p, now := Policy{UID: testUID, Overlap: time.Hour}, keyring.At(start)
	propose := func(plan Plan, id string) Plan {
		return plan.Propose(Proposal{oauth2.Credential{ID: id, Value: oauth2.NewSecret(id)}, now}, p)
	}
	plan := Next(Plan{}.Create(Proposal{oauth2.Credential{ID: "a", Value: oauth2.NewSecret("a")}, now}, p, now).Record, Seen{Present: true, Value: oauth2.NewSecret("a")}, p, now)
	if plan.Generation.Number != 0 || plan.Record.Rotation.Generation != 0 {
		t.Errorf("the first one is of generation %+v", plan.Generation)
	}
	for i, id := range []string{"b", "c"} {
		proposed := propose(plan, id)
		plan = proposed.Commit(Uses{}, p, now)
		want := Generation{int64(i + 1), start.Truncate(time.Second)}
		if proposed.Generation != want || plan.Generation != want || plan.Record.Rotation.Generation != want.Number {
			t.Errorf("%s is proposed as %+v, and then of %+v; want %+v", id, proposed.Generation, plan.Generation, want)
		}
	}
	plan = Next(plan.Record, Seen{Present: true, Value: oauth2.NewSecret("b")}, p, now)
	if plan.Generation.Number != 3 {
		t.Errorf("one that a user put back is of %+v", plan.Generation)
	}
	withdrawn := plan.Record.Withdraw()
	if again := withdrawn.Withdraw(); withdrawn.Rotation.Generation != 4 || again.Rotation.Generation != 4 || len(again.Verifiers) != 0 {
		t.Errorf("a client that authenticates otherwise: %+v, then %+v", withdrawn, again)
	}
}

func TestProofs(t *testing.T) {
	key, err := NewGenerationKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	other, err := NewGenerationKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	value, g := oauth2.NewSecret("value"), Generation{7, start}
	proof := key.Prove(testUID, value, g)
	fields := strings.Split(proof, ".")
	for name, c := range map[string]struct {
		key        GenerationKey
		uid, proof string
		value      oauth2.Secret
		want       Generation
	}{
		"what was proved is proven":   {key, testUID, proof, value, g},
		"not of another client":       {key, "another", proof, value, Generation{}},
		"not of another value":        {key, testUID, proof, oauth2.NewSecret("values"), Generation{}},
		"not by another key":          {other, testUID, proof, value, Generation{}},
		"not without a key":           {GenerationKey{}, testUID, proof, value, Generation{}},
		"not with a higher number":    {key, testUID, "8." + fields[1] + "." + fields[2], value, Generation{}},
		"not with a later instant":    {key, testUID, fmt.Sprintf("7.%d.%s", start.Unix()+1, fields[2]), value, Generation{}},
		"not in another spelling":     {key, testUID, "0" + proof, value, Generation{}},
		"not with something behind":   {key, testUID, proof + "A", value, Generation{}},
		"not a part of it":            {key, testUID, proof[:len(proof)-1], value, Generation{}},
		"nothing":                     {key, testUID, "", value, Generation{}},
		"a number alone":              {key, testUID, "7", value, Generation{}},
		"a text":                      {key, testUID, "a.b.c", value, Generation{}},
		"a number that is no number":  {key, testUID, "99999999999999999999." + fields[1] + "." + fields[2], value, Generation{}},
		"the first generation has no": {key, testUID, key.Prove(testUID, value, Generation{0, start}), value, Generation{}},
	} {
		if got := c.key.Proven(c.uid, c.value, c.proof); got != c.want {
			t.Errorf("%s: %+v, want %+v", name, got, c.want)
		}
	}
	// The length of each part is in the MAC: parts do not run into each other.
	if a, b := key.Prove("ab", oauth2.NewSecret("c"), g), key.Prove("a", oauth2.NewSecret("bc"), g); a == b {
		t.Error("two values have one proof")
	}
	again, err := ParseGenerationKey(key.Reveal())
	if err != nil || again.Prove(testUID, value, g) != proof {
		t.Errorf("a key that was stored: %v", err)
	}
	if _, err := ParseGenerationKey([]byte("short")); err == nil {
		t.Error("a short key is read")
	}
	if printed := fmt.Sprintf("%v %+v %#v %s %x", key, key, key, key, key); bytes.Contains([]byte(printed), key.Reveal()[:4]) || strings.Count(printed, "REDACTED") != 5 {
		t.Errorf("a key is printed as %s", printed)
	}
}
