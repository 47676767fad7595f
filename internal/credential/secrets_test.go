// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package credential

import (
	"crypto/rand"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hallpass-dev/hallpass/internal/keyring"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
)

const testUID = "0b7c1f3e-7f4b-4d69-9b0e-6a3f3a0f2d11"

var start = time.Date(2026, time.March, 1, 9, 30, 0, 0, time.UTC)

// sketch draws the verifiers of a registration: its name, whether it is pending, and when it ends,
// seen from start.
func sketch(r Record) string {
	drawn := make([]string, 0, len(r.Verifiers))
	for _, v := range r.Verifiers {
		line := v.ID
		if v.Pending {
			line += " pending"
		}
		if !v.ExpiresAt.IsZero() {
			line += " until " + v.ExpiresAt.Sub(start).String()
		}
		drawn = append(drawn, line)
	}
	return strings.Join(drawn, ", ")
}

// of makes a verifier of a secret that is called as its id and was made so long after start.
func of(id string, made time.Duration, change ...func(*oauth2.Verifier)) oauth2.Verifier {
	v := oauth2.Verifier{ID: id, Digest: oauth2.DigestSecret(testUID, oauth2.NewSecret(id)), CreatedAt: start.Add(made)}
	for _, apply := range change {
		apply(&v)
	}
	return v
}

func until(end time.Duration) func(*oauth2.Verifier) {
	return func(v *oauth2.Verifier) { v.ExpiresAt = start.Add(end) }
}

func pending(end time.Duration) func(*oauth2.Verifier) {
	return func(v *oauth2.Verifier) { v.Pending, v.ExpiresAt = true, start.Add(end) }
}

func registered(verifiers ...oauth2.Verifier) Record {
	return Record{Verifiers: verifiers}
}

func TestSettle(t *testing.T) {
	const day = 24 * time.Hour
	for name, c := range map[string]struct {
		verifiers []oauth2.Verifier
		value     string
		overlap   time.Duration
		now       time.Duration
		want      string
		found     bool
	}{
		"a value that nobody registered settles nothing": {
			[]oauth2.Verifier{of("a", 0)}, "x", day, 0, "a", false,
		},
		"an empty value settles nothing": {
			[]oauth2.Verifier{of("", 0), of("a", 0)}, "", day, 0, ", a", false,
		},
		"the current secret stays as it is": {
			[]oauth2.Verifier{of("a", 0)}, "a", day, 1000 * day, "a", true,
		},
		"a pending secret that reached its Secret is current, and the one before ends after the overlap": {
			[]oauth2.Verifier{of("a", 0), of("b", time.Hour, pending(2*time.Hour))}, "b", day, time.Hour, "b, a until 25h0m0s", true,
		},
		"without an overlap the one before ends at once": {
			[]oauth2.Verifier{of("a", 0), of("b", time.Hour, pending(2*time.Hour))}, "b", 0, time.Hour, "b", true,
		},
		"a pending secret that did not reach its Secret changes nothing": {
			[]oauth2.Verifier{of("a", 0), of("b", time.Hour, pending(2*time.Hour))}, "a", day, time.Hour, "b pending until 2h0m0s, a", true,
		},
		"a pending secret that never reached its Secret is dropped at its end": {
			[]oauth2.Verifier{of("a", 0), of("b", time.Hour, pending(2*time.Hour))}, "a", day, 2 * time.Hour, "a", true,
		},
		"an older secret that somebody put back is current again": {
			[]oauth2.Verifier{of("b", time.Hour), of("a", 0, until(day))}, "a", day, 2 * time.Hour, "b until 26h0m0s, a", true,
		},
		"an older secret that has ended stays ended": {
			[]oauth2.Verifier{of("b", time.Hour), of("a", 0, until(day))}, "a", day, day, "b, a until 24h0m0s", false,
		},
		"an older secret works until its end": {
			[]oauth2.Verifier{of("b", time.Hour), of("a", 0, until(day))}, "b", day, day - 1, "b, a until 24h0m0s", true,
		},
		"an older secret is dropped at its end": {
			[]oauth2.Verifier{of("b", time.Hour), of("a", 0, until(day))}, "b", day, day, "b", true,
		},
		"a shorter overlap does not cut what an older secret was promised": {
			[]oauth2.Verifier{of("b", time.Hour), of("a", 0, until(day))}, "b", time.Minute, 2 * time.Hour, "b, a until 24h0m0s", true,
		},
		"a fourth secret pushes out the one that ends first": {
			[]oauth2.Verifier{of("c", 2*time.Hour), of("b", time.Hour, until(day)), of("a", 0, until(2*day)), of("d", 3*time.Hour, pending(4*time.Hour))},
			"d", 3 * day, 3 * time.Hour, "d, c until 75h0m0s, a until 48h0m0s", true,
		},
		"a fourth secret does not push out the one before, although that ends first by now": {
			[]oauth2.Verifier{of("c", 2*time.Hour), of("b", time.Hour, until(day)), of("a", 0, until(2*day)), of("d", 3*time.Hour, pending(4*time.Hour))},
			"d", time.Minute, 3 * time.Hour, "d, c until 3h1m0s, a until 48h0m0s", true,
		},
		"pending secrets push out nobody": {
			[]oauth2.Verifier{
				of("c", 2*time.Hour), of("b", time.Hour, until(day)), of("a", 0, until(day)),
				of("x", 3*time.Hour, pending(4*time.Hour)), of("y", 3*time.Hour, pending(4*time.Hour)),
			},
			"c", day, 3 * time.Hour, "x pending until 4h0m0s, y pending until 4h0m0s, c, b until 24h0m0s, a until 24h0m0s", true,
		},
	} {
		t.Run(name, func(t *testing.T) {
			before := registered(c.verifiers...)
			untouched := sketch(before)
			got, found := settle(before, oauth2.NewSecret(c.value), Policy{UID: testUID, Overlap: c.overlap}, keyring.At(start.Add(c.now)))
			if found != c.found {
				t.Errorf("found %t, want %t", found, c.found)
			}
			if sketch(before) != untouched {
				t.Errorf("the argument was changed to %s", sketch(before))
			}
			if !found {
				return // the caller continues with what was there before
			}
			if diff := cmp.Diff(c.want, sketch(got)); diff != "" {
				t.Error(diff)
			}
			if again, _ := settle(got, oauth2.NewSecret(c.value), Policy{UID: testUID, Overlap: c.overlap}, keyring.At(start.Add(c.now))); !cmp.Equal(got, again, digests) {
				t.Errorf("a second look changes %s to %s", sketch(got), sketch(again))
			}
		})
	}
}

var digests = cmp.Comparer(func(a, b oauth2.Digest) bool { return a == b })

func TestSettleKeepsWhatWasHandled(t *testing.T) {
	planned := Rotation{Handled: "monday", Planned: "tuesday", PlannedBy: "b"}
	for name, c := range map[string]struct {
		value string
		want  Rotation
	}{
		"a request is handled once its secret has reached the Secret": {"b", Rotation{Handled: "tuesday", Generation: 1}},
		"a request whose secret never got there is still open":        {"a", planned},
	} {
		t.Run(name, func(t *testing.T) {
			r := registered(of("a", 0), of("b", 0, pending(time.Minute)))
			r.Rotation = planned
			got, _ := settle(r, oauth2.NewSecret(c.value), Policy{UID: testUID, Overlap: time.Hour}, keyring.At(start))
			if diff := cmp.Diff(c.want, got.Rotation); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestPropose(t *testing.T) {
	minted := oauth2.Credential{ID: "new", Value: oauth2.NewSecret("new")}
	end := pending(time.Hour)
	for name, c := range map[string]struct {
		verifiers []oauth2.Verifier
		want      string
	}{
		"a proposal comes beside what is there and ends after minutes": {
			[]oauth2.Verifier{of("a", 0)}, "a, new pending until 5m0s",
		},
		"the oldest proposal makes room, wherever it stands": {
			[]oauth2.Verifier{
				of("p3", 3, end), of("p2", 2, end), of("p1", 1, end), of("c", 0), of("b", 0, until(time.Hour)), of("a", 0, until(time.Hour)),
				of("p4", 4, end), of("p5", 5, end),
			},
			"p3 pending until 1h0m0s, p2 pending until 1h0m0s, c, b until 1h0m0s, a until 1h0m0s, p4 pending until 1h0m0s, p5 pending until 1h0m0s, new pending until 5m0s",
		},
		"one that is registered already is not added again": {
			[]oauth2.Verifier{of("a", 0), of("new", 0, end)}, "a, new pending until 1h0m0s",
		},
		"one whose end has come is": {
			[]oauth2.Verifier{of("a", 0), of("new", -time.Hour, pending(0))}, "a, new pending until 0s, new pending until 5m0s",
		},
	} {
		t.Run(name, func(t *testing.T) {
			before := registered(c.verifiers...)
			got := propose(before, Proposal{minted, keyring.At(start)}, Policy{UID: testUID, Request: "now"})
			if diff := cmp.Diff(c.want, sketch(got)); diff != "" {
				t.Error(diff)
			}
			if sketch(before) != sketch(registered(c.verifiers...)) {
				t.Errorf("the argument was changed to %s", sketch(before))
			}
			if want := (Rotation{Planned: "now", PlannedBy: "new"}); got.Rotation != want {
				t.Errorf("rotation %+v, want %+v", got.Rotation, want)
			}
		})
	}
}

func TestSchedule(t *testing.T) {
	const never = time.Duration(-1)
	three := []oauth2.Verifier{of("c", 0), of("b", 0, until(5*time.Hour)), of("a", 0, until(3*time.Hour))}
	for name, c := range map[string]struct {
		verifiers []oauth2.Verifier
		policy    Policy
		handled   string
		due       time.Duration
		blocked   bool
	}{
		"nothing is due if nobody wants it":                      {[]oauth2.Verifier{of("a", 0)}, Policy{Overlap: time.Hour}, "", never, false},
		"nothing is due without a current secret":                {[]oauth2.Verifier{of("a", 0, pending(time.Hour))}, Policy{Request: "x"}, "", never, false},
		"a new request is due now":                               {[]oauth2.Verifier{of("a", 0)}, Policy{Request: "x", Overlap: time.Hour}, "", 0, false},
		"another request is due now":                             {[]oauth2.Verifier{of("a", 0)}, Policy{Request: "y", Overlap: time.Hour}, "x", 0, false},
		"a request that was handled is not due":                  {[]oauth2.Verifier{of("a", 0)}, Policy{Request: "x", Overlap: time.Hour}, "x", never, false},
		"a request that was taken back is not due":               {[]oauth2.Verifier{of("a", 0)}, Policy{Overlap: time.Hour}, "x", never, false},
		"with three secrets a request waits for the first end":   {three, Policy{Request: "x", Overlap: time.Hour}, "", 3 * time.Hour, true},
		"with three secrets and no overlap a request waits not":  {three, Policy{Request: "x"}, "", 0, false},
		"with three secrets an interval that is over waits, too": {[]oauth2.Verifier{of("c", -100*time.Hour), three[1], three[2]}, Policy{Interval: time.Hour, Overlap: 59 * time.Minute}, "", 3 * time.Hour, true},
		"proposals block nothing": {
			[]oauth2.Verifier{of("b", 0), of("a", 0, until(time.Hour)), of("p", 0, pending(time.Minute))}, Policy{Request: "x", Overlap: time.Hour}, "", 0, false,
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := registered(c.verifiers...)
			r.Rotation.Handled = c.handled
			c.policy.UID = testUID
			due, blocked := schedule(r, c.policy, keyring.At(start))
			got := never
			if !due.IsZero() {
				got = due.Sub(start)
			}
			if got != c.due || blocked != c.blocked {
				t.Errorf("due after %s, blocked %t; want %s, %t", got, blocked, c.due, c.blocked)
			}
		})
	}
}

func TestThousandClientsThatWereMadeTogetherDoNotRotateTogether(t *testing.T) {
	const clients, interval = 1000, 720 * time.Hour
	perDay := map[int]int{}
	for i := range clients {
		uid := fmt.Sprintf("%08d-0000-4000-8000-000000000000", i)
		turn := nextInterval(start, interval, uid)
		if !turn.After(start) || turn.After(start.Add(interval)) {
			t.Fatalf("client %d rotates %s after it was made; want within one interval", i, turn.Sub(start))
		}
		if next := nextInterval(turn, interval, uid); next.Sub(turn) != interval {
			t.Fatalf("client %d rotates again after %s, want %s", i, next.Sub(turn), interval)
		}
		perDay[int(turn.Sub(start)/(24*time.Hour))]++
	}
	// 30 days, so 33 a day; 70 are more than six standard deviations above that.
	for day := range 30 {
		if perDay[day] == 0 || perDay[day] > 70 {
			t.Errorf("%d of %d clients rotate on day %d", perDay[day], clients, day)
		}
	}
}

func TestTheTurnDoesNotDependOnWhenTheLastRotationWasLate(t *testing.T) {
	const interval = 24 * time.Hour
	turn := nextInterval(start, interval, testUID)
	for _, late := range []time.Duration{0, time.Second, time.Hour, interval - time.Second} {
		if got := nextInterval(turn.Add(late), interval, testUID); !got.Equal(turn.Add(interval)) {
			t.Errorf("after a rotation that was %s late the next comes %s after its turn, want %s", late, got.Sub(turn), interval)
		}
	}
}

// TestAYearOfRotations drives one client as the reconciler does, always to the next instant that
// something is due, and checks the secrets that two kinds of apps hold.
func TestAYearOfRotations(t *testing.T) {
	for name, w := range map[string]Policy{
		"every month with a day":               {Interval: 720 * time.Hour, Overlap: 24 * time.Hour},
		"every hour with the longest overlap":  {Interval: time.Hour, Overlap: 59 * time.Minute},
		"every hour without an overlap":        {Interval: time.Hour},
		"every day with almost a day":          {Interval: 24 * time.Hour, Overlap: 24*time.Hour - time.Minute},
		"once a year, with ninety days":        {Interval: 8760 * time.Hour, Overlap: 2160 * time.Hour},
		"an odd interval, with an odd overlap": {Interval: 7*time.Hour + 11*time.Second, Overlap: 3*time.Hour + 7*time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			w.UID = testUID
			rotations := liveThroughAYear(t, w)
			if want := int(8760 * time.Hour / w.Interval); rotations < want || rotations > want+1 {
				t.Errorf("%d rotations in a year, want %d or one more", rotations, want)
			}
		})
	}
}

func liveThroughAYear(t *testing.T, w Policy) (rotations int) {
	t.Helper()
	now := start
	r, value := rotated(t, registered(), w, now)
	for end := start.Add(8760 * time.Hour); ; {
		var found bool
		if r, found = settle(r, value, w, keyring.At(now)); !found {
			t.Fatalf("%s after the start the secret in the Secret is unknown", now.Sub(start))
		}
		due, blocked := schedule(r, w, keyring.At(now))
		if blocked {
			t.Fatalf("%s after the start a rotation has to wait", now.Sub(start))
		}
		if due.After(now) {
			next := max(earlier(due, nextEnd(r, keyring.At(now))).Sub(now), time.Second)
			if now = now.Add(next); now.After(end) {
				return rotations
			}
			continue
		}
		before := value
		r, value = rotated(t, r, w, now)
		rotations++
		lookAtOverlap(t, r, before, w, now)
	}
}

// rotated does what a rotation does, with its Secret reached.
func rotated(t *testing.T, r Record, w Policy, now time.Time) (Record, oauth2.Secret) {
	t.Helper()
	minted, err := oauth2.NewClientSecret(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	r = propose(r, Proposal{minted, keyring.At(now)}, w)
	r, found := settle(r, minted.Value, w, keyring.At(now))
	if !found {
		t.Fatal("the secret that was just proposed is unknown")
	}
	if i := slices.IndexFunc(r.Verifiers, func(v oauth2.Verifier) bool { return v.ExpiresAt.IsZero() }); i < 0 || r.Verifiers[i].ID != minted.ID {
		t.Fatalf("after a rotation %s is accepted, want %q to be current", sketch(r), minted.ID)
	}
	if count := accepted(r.Verifiers, now); count > MaxLive {
		t.Fatalf("%d secrets are accepted at once", count)
	}
	return r, minted.Value
}

// lookAtOverlap checks that the secret before works for the overlap, to the second, and not longer.
func lookAtOverlap(t *testing.T, r Record, before oauth2.Secret, w Policy, now time.Time) {
	t.Helper()
	accepted := func(at time.Time) bool {
		digest := oauth2.DigestSecret(w.UID, before)
		for _, v := range r.Verifiers {
			if v.Digest == digest && v.Live(at) {
				return true
			}
		}
		return false
	}
	if w.Overlap > 0 && !accepted(now.Add(w.Overlap-time.Second)) {
		t.Errorf("the secret before ends more than a second before its overlap of %s", w.Overlap)
	}
	if accepted(now.Add(w.Overlap)) {
		t.Errorf("the secret before is accepted after its overlap of %s", w.Overlap)
	}
}

// The first secret of a client was registered and its Secret could not be written: the next attempt
// changes nothing in the registration.
func TestAFirstSecretThatIsTriedAgainStaysTheFirst(t *testing.T) {
	first := oauth2.Credential{ID: "a", Value: oauth2.NewSecret("a")}
	before := registered(of("a", 0))
	before.Rotation = Rotation{Handled: "one", First: "a"}
	if again := propose(before, Proposal{first, keyring.At(start)}, Policy{UID: testUID, Request: "one"}); !cmp.Equal(before, again, digests) {
		t.Errorf("%s %+v", sketch(again), again.Rotation)
	}
	asked := propose(before, Proposal{first, keyring.At(start)}, Policy{UID: testUID, Request: "two"})
	settled, found := settle(asked, first.Value, Policy{UID: testUID, Request: "two"}, keyring.At(start))
	if want := (Rotation{Handled: "two"}); !found || settled.Rotation != want || len(settled.Verifiers) != 1 {
		t.Errorf("%t: %s %+v", found, sketch(settled), settled.Rotation)
	}
}

func earlier(a, b time.Time) time.Time {
	if b.IsZero() || a.Before(b) {
		return a
	}
	return b
}

func TestReplacedSecretsAreWatchedFromThenOn(t *testing.T) {
	at := time.Date(2026, 5, 1, 12, 0, 0, 500, time.UTC)
	before := at.Add(-time.Hour).Truncate(time.Second)
	whole := at.Truncate(time.Second)
	end := at.Add(48 * time.Hour)
	for name, row := range map[string]struct {
		verifier  oauth2.Verifier
		unusedFor time.Duration
		want      time.Time
	}{
		"a replaced secret":                  {oauth2.Verifier{ExpiresAt: end}, time.Hour, whole},
		"one that is watched already":        {oauth2.Verifier{ExpiresAt: end, WatchedSince: before}, time.Hour, before},
		"one that nobody wants to end early": {oauth2.Verifier{ExpiresAt: end, WatchedSince: before}, 0, time.Time{}},
		"the current secret":                 {oauth2.Verifier{}, time.Hour, time.Time{}},
		"one that became current again":      {oauth2.Verifier{WatchedSince: before}, time.Hour, time.Time{}},
		"one on its way to the Secret":       {oauth2.Verifier{ExpiresAt: end, Pending: true}, time.Hour, time.Time{}},
	} {
		t.Run(name, func(t *testing.T) {
			verifiers := []oauth2.Verifier{row.verifier}
			watchReplaced(verifiers, Policy{UnusedFor: row.unusedFor}, at)
			if got := verifiers[0].WatchedSince; !got.Equal(row.want) {
				t.Errorf("watched since %s, want %s", got, row.want)
			}
		})
	}
}
