// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package reporter

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hallpass-dev/hallpass/internal/oauth2"
	"github.com/hallpass-dev/hallpass/internal/usage"
)

const (
	alice = "6f1d3c1e-0c1b-4a57-9d0a-0a1b2c3d4e5f"
	bob   = "0a1d3c1e-0c1b-4a57-9d0a-0a1b2c3d4e60"
)

func at(minutes int) time.Time { return noon.Add(time.Duration(minutes) * time.Minute) }

// entriesOf is the content of a report.
func entriesOf(g *Gatherer, now usage.Minute) ([]usage.Entry, []usage.Loss, usage.Minute) {
	entries := g.part(0, 1, now)
	losses, from := g.covered(now)
	return entries, losses, from
}

func seen(g *Gatherer, uid string, now time.Time) usage.Seen {
	entries, _, _ := entriesOf(g, usage.MinuteOf(now))
	for _, e := range entries {
		if e.Key == usage.KeyOf(uid) {
			return e.Seen
		}
	}
	return usage.Seen{}
}

func TestTheLastUseOfEachKindIsRemembered(t *testing.T) {
	g := NewGatherer(usage.MinuteOf(noon), MaxBytes)
	g.Note(oauth2.Use{Subject: alice, At: at(1).Add(30 * time.Second), Credential: "one", Issued: true})
	g.Note(oauth2.Use{Subject: alice, At: at(3), Credential: "two"})
	// it took longer than the one before
	g.Note(oauth2.Use{Subject: alice, At: at(2), Credential: "two", Issued: true})
	g.Note(oauth2.Use{Subject: alice, At: at(4), Presented: true})
	g.Note(oauth2.Use{Subject: alice, At: at(5), Stale: oauth2.ExpiredTokenUsed, Source: "192.0.2.1"})
	g.Note(oauth2.Use{Subject: alice, At: at(6), Stale: oauth2.ExpiredTokenUsed, Source: "192.0.2.2"})
	g.Note(oauth2.Use{At: at(6), Issued: true}) // of no client
	want := usage.Seen{
		Issued: usage.MinuteOf(at(2)), Presented: usage.MinuteOf(at(4)),
		Credentials: []usage.Credential{{ID: "one", At: usage.MinuteOf(at(1))}, {ID: "two", At: usage.MinuteOf(at(3))}},
		Stale:       []usage.Stale{{Use: oauth2.ExpiredTokenUsed, Count: 2, At: usage.MinuteOf(at(6)), Source: "192.0.2.2"}},
	}
	if diff := cmp.Diff(want, seen(g, alice, at(7))); diff != "" {
		t.Errorf("seen (-want +got):\n%s", diff)
	}
	if last := want.Last(); last != usage.MinuteOf(at(4)) {
		t.Errorf("last used %s, want at 12:04: an expired token is no use", last.Time())
	}
}

func TestWhatCannotStandInAReportIsNotRemembered(t *testing.T) {
	g := NewGatherer(1, MaxBytes)
	g.Note(oauth2.Use{Subject: alice, At: noon, Credential: "a b", Issued: true})
	g.Note(oauth2.Use{Subject: alice, At: noon, Stale: oauth2.RevokedTokenUsed, Source: "\x1b[31m"})
	got := seen(g, alice, noon)
	if len(got.Credentials) > 0 || got.Stale[0].Source != "" {
		t.Errorf("%+v, want neither", got)
	}
	if got.Issued != usage.MinuteOf(noon) {
		t.Error("the rest of the use is forgotten, too")
	}
}

func TestASecretThatWasPushedOutWasNotUsedLaterThanThoseThatAreThere(t *testing.T) {
	g := NewGatherer(usage.MinuteOf(noon), MaxBytes)
	for i := range usage.MaxCredentials + 1 {
		g.Note(oauth2.Use{Subject: alice, At: at(i), Credential: fmt.Sprint("secret-", i)})
	}
	got := seen(g, alice, at(60))
	if len(got.Credentials) != usage.MaxCredentials || got.Credential("secret-0") != 0 {
		t.Fatalf("%+v", got.Credentials)
	}
	if most := got.AtMost("secret-0"); most < usage.MinuteOf(at(0)) || most > usage.MinuteOf(at(1)) {
		t.Errorf("at most at %s", most.Time())
	}
	if most := (usage.Seen{Credentials: []usage.Credential{{ID: "x", At: 5}}}).AtMost("y"); most != 0 {
		t.Errorf("a secret that was never used was so at %d at most", most)
	}
}

func TestWhatIsForgottenIsNotCovered(t *testing.T) {
	g := NewGatherer(usage.MinuteOf(noon), MaxBytes)
	g.Note(oauth2.Use{Subject: alice, At: noon, Issued: true})
	g.Note(oauth2.Use{Subject: bob, At: at(keepMinutes), Issued: true})
	later := usage.MinuteOf(at(keepMinutes + 5))
	entries, _, from := entriesOf(g, later)
	if len(entries) != 1 || entries[0].Key != usage.KeyOf(bob) || from <= usage.MinuteOf(noon) {
		t.Errorf("%d entries from %s on, want bob alone, from after noon on", len(entries), from.Time())
	}
	if again, _, _ := entriesOf(g, later); len(again) != 1 {
		t.Error("forgetting is not for good")
	}
}

func TestNoteAllocatesNothing(t *testing.T) {
	g := NewGatherer(1, MaxBytes)
	use := oauth2.Use{Subject: alice, At: noon, Credential: "abcdefghijkl", Issued: true, Stale: oauth2.PreviousSecretUsed, Source: "192.0.2.1"}
	g.Note(use)
	if n := testing.AllocsPerRun(1000, func() { g.Note(use) }); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestRequestsNoteAtOnce(t *testing.T) {
	g := NewGatherer(1, MaxBytes)
	var running sync.WaitGroup
	for n := range 8 {
		running.Go(func() {
			for i := range 1000 {
				g.Note(oauth2.Use{
					Subject: fmt.Sprint("uid-", i%100), At: at(i), Credential: fmt.Sprint("secret-", n), Stale: oauth2.StaleUses[i%len(oauth2.StaleUses)],
				})
				if i%100 == 0 {
					entries, _, _ := entriesOf(g, usage.MinuteOf(at(i)))
					if _, _, err := usage.Decode(usage.Encode(entries)); err != nil {
						t.Error(err)
					}
				}
			}
		})
	}
	running.Wait()
	got := seen(g, "uid-99", at(1000))
	var count uint64
	for _, stale := range got.Stale {
		count += stale.Count
	}
	if len(got.Credentials) != 8 || count != 80 {
		t.Errorf("%d secrets and %d stale uses, want 8 and 80", len(got.Credentials), count)
	}
}

func BenchmarkNote(b *testing.B) {
	g := NewGatherer(1, MaxBytes)
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			g.Note(oauth2.Use{Subject: alice, At: noon, Credential: "abcdefghijkl", Issued: true})
		}
	})
}
