// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package credential

import (
	"slices"
	"testing"
	"time"

	"github.com/hallpass-dev/hallpass/internal/oauth2"
	"github.com/hallpass-dev/hallpass/internal/usage"
)

// A reconcile with clocks that are ahead, which two responses of the API server a minute apart
// would not confirm: a machine that boots with a wrong clock, the API server on it too.
func TestOneLookWithAClockThatIsAheadEndsNoSecret(t *testing.T) {
	for name, ahead := range map[string]time.Duration{"a minute": time.Minute, "a day": 24 * time.Hour, "31 days": 31 * 24 * time.Hour, "a year": 366 * 24 * time.Hour} {
		t.Run(name, func(t *testing.T) {
			record := Record{Verifiers: []oauth2.Verifier{of("current", 2*time.Hour), of("replaced", time.Hour, until(30*time.Second)), of("pending", time.Hour, pending(20*time.Second))}}
			wrong := start.Add(ahead)
			p := Policy{UID: testUID, Overlap: time.Hour}
			unsure := Time{Earliest: wrong, Latest: wrong}
			for what, plan := range map[string]Plan{
				"kept": Keep(record, unsure),
				"next": Next(record, Seen{Live: true, Present: true, Value: oauth2.NewSecret("current")}, p, unsure),
			} {
				if len(plan.Record.Verifiers) != 3 || len(plan.Expired)+len(plan.Retired) > 0 {
					t.Errorf("%s: %s, expired %v", what, sketch(plan.Record), plan.Expired)
				}
				if again := plan.Again(); !again.After(wrong) || again.After(wrong.Add(agreement)) {
					t.Errorf("%s: looked at again after %s", what, again.Sub(wrong))
				}
			}
			// The Secret has one that was proposed, and its record was never confirmed.
			plan := Next(record, Seen{Live: true, Present: true, Value: oauth2.NewSecret("pending")}, p, unsure)
			if plan.Reason != None || plan.Record.IDOf(oauth2.NewSecret("pending"), p) != "pending" {
				t.Errorf("the secret in the Secret is minted anew: %s", sketch(plan.Record))
			}
			// Once the clocks agree, what has ended is dropped.
			plan = Keep(record, Time{Earliest: start.Add(time.Minute), Latest: start.Add(time.Minute), Agreed: true})
			if !slices.Equal(plan.Expired, []string{"replaced"}) || len(plan.Record.Verifiers) != 1 {
				t.Errorf("expired %v of %s", plan.Expired, sketch(plan.Record))
			}
		})
	}
}

// Nothing that is made waits: a rotation that is due by the earlier clock is made, its secret is
// not from the future, and the secret before it is accepted for its overlap by the later clock.
func TestARotationTakesTheEarlierClockAndItsOverlapTheLater(t *testing.T) {
	earlier, later := start.Add(time.Hour), start.Add(5*24*time.Hour)
	now := Time{Earliest: earlier, Latest: later}
	p := Policy{UID: testUID, Overlap: 2 * time.Hour, Request: "now"}
	plan := Next(Record{Verifiers: []oauth2.Verifier{of("before", 0)}}, Seen{Present: true, Value: oauth2.NewSecret("before")}, p, now)
	if plan.Reason != Rotated {
		t.Fatalf("reason %d", plan.Reason)
	}
	made := Proposal{oauth2.Credential{ID: "after", Value: oauth2.NewSecret("after")}, now}
	plan = plan.Propose(made, p)
	if v := plan.Record.Verifiers[1]; !v.CreatedAt.Equal(earlier) || !v.ExpiresAt.Equal(later.Add(PendingLife)) {
		t.Errorf("proposed %+v", v)
	}
	plan = plan.Commit(Uses{}, p, now)
	at := slices.IndexFunc(plan.Record.Verifiers, func(v oauth2.Verifier) bool { return v.ID == "before" })
	if at < 0 || !plan.Record.Verifiers[at].ExpiresAt.Equal(later.Add(p.Overlap)) {
		t.Errorf("after the rotation: %+v", plan.Record.Verifiers)
	}
}

// Secrets that have ended, and are not dropped yet, block no rotation and leave room on record.
func TestClocksThatNeverAgreeBlockNoRotation(t *testing.T) {
	p := Policy{UID: testUID, Overlap: time.Hour, Interval: 2 * time.Hour}
	record, value := Record{Verifiers: []oauth2.Verifier{of("first", 0)}}, "first"
	for hour := range 100 {
		now := Time{Earliest: start.Add(time.Duration(hour) * 2 * time.Hour), Latest: start.Add(time.Duration(hour)*2*time.Hour + time.Minute)}
		p.Request = now.Earliest.String()
		plan := Next(record, Seen{Present: true, Value: oauth2.NewSecret(value)}, p, now)
		if plan.Reason != Rotated || plan.Blocked {
			t.Fatalf("hour %d: reason %d, blocked %t with %s", hour, plan.Reason, plan.Blocked, sketch(plan.Record))
		}
		value = now.Earliest.String()
		plan = plan.Propose(Proposal{oauth2.Credential{ID: value, Value: oauth2.NewSecret(value)}, now}, p)
		if len(plan.Record.Verifiers) > oauth2.MaxVerifiers {
			t.Fatalf("hour %d: %d verifiers", hour, len(plan.Record.Verifiers))
		}
		record = plan.Commit(Uses{}, p, now).Record
	}
}

func TestNoSecretIsRetiredBeforeTheClocksAgree(t *testing.T) {
	now := start.Add(48 * time.Hour)
	replica := usage.Replica{Name: "web-1", StartedAt: start.Add(-time.Hour), CoveredFrom: start.Add(-time.Hour), CoveredUntil: now, Complete: true}
	watched := of("a", 0, until(90*24*time.Hour))
	watched.WatchedSince = start
	p := Policy{UID: testUID, Overlap: 100 * 24 * time.Hour, UnusedFor: time.Hour}
	retired := func(agreed bool) Plan {
		return Next(Record{Verifiers: []oauth2.Verifier{of("b", time.Hour), watched}},
			Seen{Present: true, Value: oauth2.NewSecret("b"), Uses: Uses{Read: true, Replicas: []usage.Replica{replica}}}, p, Time{Earliest: now, Latest: now, Agreed: agreed})
	}
	if plan := retired(false); len(plan.Retired) > 0 || !plan.EvidenceAt.Equal(now.Add(agreement)) {
		t.Errorf("retired %v, judged again at %s", plan.Retired, plan.EvidenceAt)
	}
	if plan := retired(true); !slices.Equal(plan.Retired, []string{"a"}) {
		t.Errorf("retired %v once the clocks agree", plan.Retired)
	}
}

func TestOneLookWithAClockThatIsAheadEndsNoToken(t *testing.T) {
	for name, ahead := range map[string]time.Duration{"ten minutes": 10 * time.Minute, "31 days": 31 * 24 * time.Hour} {
		t.Run(name, func(t *testing.T) {
			m := oauth2.Minted{UID: "t", Tokens: []oauth2.MintedToken{madeAt("before", -40), madeAt("current", 0), madeAt("on its way", 1)}}
			wrong := noon.Add(time.Minute + ahead)
			settled, current, found := SettleMinted(m, valueOf("current"), Time{Earliest: wrong, Latest: wrong})
			if len(settled.Tokens) != 3 || !found || current.ID != "current" {
				t.Errorf("%d tokens are left, found %t", len(settled.Tokens), found)
			}
			if settled, _, _ = SettleMinted(m, valueOf("current"), Time{Earliest: wrong, Latest: wrong, Agreed: true}); len(settled.Tokens) == 3 {
				t.Error("nothing ends once the clocks agree")
			}
		})
	}
}
