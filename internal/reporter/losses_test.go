// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package reporter

import (
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
	"github.com/hallpass-dev/hallpass/internal/usage"
)

// roomFor is the memory of so many clients with one secret each, before any is forgotten.
func roomFor(clients int64) int64 { return (clients + 1) * subjectBytes * 16 / 15 }

func useOf(namespace string, i int, at time.Time) oauth2.Use {
	return oauth2.Use{Subject: fmt.Sprint(namespace, "/", i), Namespace: namespace, At: at, Credential: "abcdefghijkl", Issued: true}
}

// stored is how many of the first n objects of a namespace are stored, and the last use of those
// that are not.
func stored(g *Gatherer, namespace string, n int, at func(i int) time.Time) (there int, lost usage.Minute) {
	known := map[usage.Key]bool{}
	entries, _, _ := entriesOf(g, 1)
	for _, e := range entries {
		known[e.Key] = true
	}
	for i := range n {
		if known[usage.KeyOf(useOf(namespace, i, noon).Subject)] {
			there++
		} else {
			lost = max(lost, usage.MinuteOf(at(i)))
		}
	}
	return there, lost
}

// counted checks that what is counted is what is stored.
func counted(t *testing.T, g *Gatherer) {
	t.Helper()
	var bytes int64
	subjects := map[string]int{}
	for i := range g.shards {
		for _, s := range g.shards[i].subjects {
			bytes += int64(s.size())
			subjects[s.of.namespace]++
		}
	}
	owned := map[string]int{}
	for name, o := range g.owners {
		owned[name] = o.subjects
	}
	if diff := cmp.Diff(subjects, owned); diff != "" || bytes != g.bytes.Load() {
		t.Errorf("%d bytes are counted of %d (-objects +counted):\n%s", g.bytes.Load(), bytes, diff)
	}
}

func TestTheNamespaceThatTakesTheMostLosesItsOldestUses(t *testing.T) {
	g := NewGatherer(usage.MinuteOf(noon), roomFor(1000))
	for i := range 10 {
		g.Note(useOf("shop", i, noon))
	}
	later := func(i int) time.Time { return at(1 + i/10) }
	const flood = 20_000
	for i := range flood {
		g.Note(useOf("hostile", i, later(i)))
		if bytes := g.bytes.Load(); bytes > g.most {
			t.Fatalf("%d bytes are stored, at most %d", bytes, g.most)
		}
	}
	counted(t, g)
	if n, _ := stored(g, "shop", 10, later); n != 10 {
		t.Errorf("%d of 10 objects of the other namespace are stored", n)
	}
	n, lost := stored(g, "hostile", flood, later)
	if n < 800 {
		t.Errorf("%d objects of the namespace with the most are stored", n)
	}
	_, losses, from := entriesOf(g, usage.MinuteOf(later(flood)))
	if diff := cmp.Diff([]usage.Loss{{Namespace: "hostile", Until: lost + 1}}, losses); diff != "" || from != usage.MinuteOf(noon) {
		t.Errorf("covered from %s (-want +got):\n%s", from.Time(), diff)
	}
}

// A loss is no news after nine days: nothing older is covered.
func TestALossEndsWhenNothingOlderIsCovered(t *testing.T) {
	g := NewGatherer(usage.MinuteOf(noon), roomFor(10))
	for i := range 100 {
		g.Note(useOf("hostile", i, at(i)))
	}
	if _, losses, _ := entriesOf(g, usage.MinuteOf(at(100))); len(losses) != 1 {
		t.Fatalf("losses %v", losses)
	}
	if _, losses, _ := entriesOf(g, usage.MinuteOf(at(100+keepMinutes))); len(losses) != 0 || len(g.lost)+len(g.owners) != 0 {
		t.Errorf("losses %v, %d are remembered of %d namespaces", losses, len(g.lost), len(g.owners))
	}
	counted(t, g)
}

// Beyond the bound coverage of all namespaces is broken, but no later than it must be.
func TestMoreNamespacesThanAReportNamesBreakTheCoverageOfAll(t *testing.T) {
	const namespaces = usage.MaxLosses + 10
	g := NewGatherer(usage.MinuteOf(noon), roomFor(4*namespaces))
	g.Note(useOf("shop", 0, noon))
	for i := range 8 * namespaces {
		g.Note(useOf(fmt.Sprint("hostile-", i%namespaces), i, at(i/namespaces)))
	}
	_, losses, from := entriesOf(g, usage.MinuteOf(at(10)))
	if len(losses) > usage.MaxLosses || from <= usage.MinuteOf(noon) || from > usage.MinuteOf(at(8)) {
		t.Errorf("%d losses, covered from %s", len(losses), from.Time())
	}
	if len(g.lost) > usage.MaxLosses {
		t.Errorf("%d losses are remembered", len(g.lost))
	}
	counted(t, g)
}

func TestMoreNamespacesThanThereIsRoomForLoseTheOldest(t *testing.T) {
	g := NewGatherer(usage.MinuteOf(noon), roomFor(100))
	for i := range 500 {
		g.Note(useOf(fmt.Sprint("namespace-", i), 0, at(i)))
		if n, _ := stored(g, fmt.Sprint("namespace-", i), 1, at); n != 1 || g.bytes.Load() > g.most {
			t.Fatalf("namespace %d has %d objects, %d bytes of %d are stored", i, n, g.bytes.Load(), g.most)
		}
	}
	counted(t, g)
}

// Tokens whose client is gone have no namespace, and no secret of such a client is accepted.
func TestUsesOfUnknownClientsBreakNoCoverage(t *testing.T) {
	g := NewGatherer(usage.MinuteOf(noon), roomFor(100))
	g.Note(useOf("shop", 0, noon))
	for i := range 1000 {
		g.Note(oauth2.Use{Subject: fmt.Sprint("gone-", i), At: at(i), Stale: oauth2.RevokedTokenUsed})
	}
	if _, losses, from := entriesOf(g, usage.MinuteOf(at(1000))); len(losses) > 0 || from != usage.MinuteOf(noon) {
		t.Errorf("losses %v, covered from %s", losses, from.Time())
	}
	if n, _ := stored(g, "shop", 1, at); n != 1 {
		t.Error("the object of a namespace is lost")
	}
	// Of a use of a secret the namespace is known. If it is not, all coverage is broken.
	for i := range 1000 {
		g.Note(useOf("", i, at(i)))
	}
	if _, losses, from := entriesOf(g, usage.MinuteOf(at(1000))); len(losses) > 0 || from == usage.MinuteOf(noon) {
		t.Errorf("losses %v, covered from %s, want from after what was lost", losses, from.Time())
	}
	counted(t, g)
}

func TestAnObjectIsChargedToItsNamespaceOnceThatIsKnown(t *testing.T) {
	g := NewGatherer(1, MaxBytes)
	g.Note(oauth2.Use{Subject: alice, At: noon, Stale: oauth2.ExpiredTokenUsed})
	g.Note(oauth2.Use{Subject: alice, Namespace: "shop", At: noon, Credential: "abcdefghijkl"})
	g.Note(oauth2.Use{Subject: alice, At: noon, Stale: oauth2.RevokedTokenUsed})
	if len(g.owners) != 1 || g.owners["shop"] == nil {
		t.Errorf("charged to %v", g.owners)
	}
	if want := int64(subjectBytes + 2*staleBytes); g.bytes.Load() != want {
		t.Errorf("%d bytes, want %d", g.bytes.Load(), want)
	}
	counted(t, g)
}

func TestWhatIsNoUseTakesNoRoom(t *testing.T) {
	g := NewGatherer(1, MaxBytes)
	g.Note(oauth2.Use{Subject: alice, Namespace: "shop", At: noon, Source: "192.0.2.1"})
	if n := g.bytes.Load(); n != 0 {
		t.Errorf("%d bytes", n)
	}
}

// Whatever fills the memory, its report is within its bounds with a sixth to spare, as parts are
// not equally long.
func TestAllUsesFitIntoOneReport(t *testing.T) {
	text := func(n int) string { return strings.Repeat("x", n) }
	const longestAddress = 43 // of IPv6, with the length of its prefix
	for name, uses := range map[string][]oauth2.Use{
		"a secret":          {{Credential: text(12), Issued: true, Presented: true}},
		"a long id":         {{Credential: text(usage.MaxCredentialID), Issued: true, Presented: true}},
		"stale tokens":      {{Stale: oauth2.ExpiredTokenUsed, Source: text(longestAddress)}, {Stale: oauth2.RevokedTokenUsed, Source: text(longestAddress)}},
		"a replaced secret": {{Credential: text(12), Stale: oauth2.PreviousSecretUsed, Source: text(longestAddress)}},
		"many secrets": {
			{Credential: text(12)}, {Credential: text(11)}, {Credential: text(10)}, {Credential: text(9)}, {Credential: text(8)}, {Credential: text(7)},
		},
		"all of it": {
			{Credential: text(12), Issued: true, Presented: true},
			{Stale: oauth2.ExpiredTokenUsed, Source: text(longestAddress)}, {Stale: oauth2.RevokedTokenUsed, Source: text(longestAddress)},
			{Credential: text(12), Stale: oauth2.PreviousSecretUsed, Source: text(longestAddress)},
		},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewGatherer(1, MaxBytes)
			for _, use := range uses {
				use.Subject, use.Namespace = alice, "shop"
				for use.At = at(1); use.At.Before(at(300)); use.At = use.At.Add(time.Minute) {
					g.Note(use)
				}
			}
			// so that instants are long
			g.Note(oauth2.Use{Subject: bob, Namespace: "shop", At: at(keepMinutes), Issued: true})
			both, _, _ := entriesOf(g, 1)
			alone, _, _ := func() ([]usage.Entry, []usage.Loss, usage.Minute) {
				other := NewGatherer(1, MaxBytes)
				other.Note(oauth2.Use{Subject: bob, At: at(keepMinutes), Issued: true})
				return entriesOf(other, 1)
			}()
			encoded := len(usage.Encode(both)) - len(usage.Encode(alone))
			objects := MaxBytes / int(g.bytes.Load()-subjectBytes)
			if all := objects * encoded; all > usage.MaxReport*usage.MaxParts*5/6 {
				t.Errorf("%d objects take %d bytes each, %d MiB", objects, encoded, all>>20)
			}
		})
	}
}

// TestNoMoreMemoryIsTakenThanIsCounted: maps of this size are as full as they get, and as empty.
func TestNoMoreMemoryIsTakenThanIsCounted(t *testing.T) {
	for name, use := range map[string]oauth2.Use{
		"a secret": {Credential: "abcdefghijkl", Issued: true},
		"a replaced secret": {
			Credential: "abcdefghijkl", Issued: true, Stale: oauth2.PreviousSecretUsed, Source: "2001:db8:1111:2222:3333:4444:5555:6666",
		},
	} {
		t.Run(name, func(t *testing.T) {
			heap := func() int64 {
				var stats runtime.MemStats
				runtime.GC()
				runtime.ReadMemStats(&stats)
				return int64(stats.HeapAlloc) //nolint:gosec // no machine has so much
			}
			g := NewGatherer(1, 1<<40)
			before := heap()
			for i := range 64_000 {
				use.Subject, use.Namespace, use.At = fmt.Sprintf("%08x-0c1b-4a57-9d0a-0a1b2c3d%04x", i, i*7919%(1<<16)), "shop", noon
				g.Note(use)
				if i%8000 != 7999 {
					continue
				}
				if taken, counted := heap()-before, g.bytes.Load(); taken > counted {
					t.Errorf("%d objects take %d bytes each, and %d are counted", i+1, taken/int64(i+1), counted/int64(i+1))
				}
			}
			runtime.KeepAlive(g)
		})
	}
}

func TestRoomIsMadeWhileRequestsNote(t *testing.T) {
	g := NewGatherer(usage.MinuteOf(noon), roomFor(500))
	var running sync.WaitGroup
	for n := range 8 {
		running.Go(func() {
			for i := range 2000 {
				g.Note(useOf(fmt.Sprint("hostile-", n), i, at(i/100)))
				g.Note(useOf("shop", i%10, at(i/100)))
				if i%200 == 0 {
					g.Report(usage.MinuteOf(at(i/100)), 1)
				}
			}
		})
	}
	running.Wait()
	counted(t, g)
	if n, _ := stored(g, "shop", 10, at); n != 10 {
		t.Errorf("%d of 10 objects are stored", n)
	}
	if got := seen(g, "shop/0", at(1)); got.Issued != usage.MinuteOf(at(19)) {
		t.Errorf("last used %s", got.Issued.Time())
	}
}

// TestAReportNamesWhatIsLostBeforeItLacksIt: a manager that starts between two writes must not take
// a use that is lost for none.
func TestAReportNamesWhatIsLostBeforeItLacksIt(t *testing.T) {
	for name, c := range map[string]struct {
		write func(w *world) error
		lose  func(g *Gatherer)
	}{
		"in service": {func(w *world) error { return w.reporter.step(w.t.Context()) }, func(g *Gatherer) { g.loseExcess(0) }},
		"at its end": {func(w *world) error { w.reporter.Close(w.t.Context()); return nil }, func(g *Gatherer) { g.loseExcess(0) }},
		"of all namespaces": {func(w *world) error { return w.reporter.step(w.t.Context()) }, func(g *Gatherer) {
			g.loseExcess(0)
			clear(g.lost)
			advance(&g.from, uint32(usage.MinuteOf(at(4))))
		}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.reporter.parts = []*part{{}, {}}
			w.open()
			w.now = at(3)
			second := 0
			for usage.PartOf(usage.KeyOf(useOf("hostile", second, w.now).Subject), 2) != 1 {
				second++
			}
			w.gathered.Note(useOf("hostile", second, w.now))
			w.walk(5 * time.Minute)
			if len(w.told()) != 1 || len(w.store.reports) != 2 {
				t.Fatalf("%d uses are reported in %d parts", len(w.told()), len(w.store.reports))
			}
			w.store.writes = nil
			w.now = w.now.Add(time.Minute)
			w.reporter.parts[0].writtenAt = w.now // by its interval it is not due
			c.lose(w.gathered)
			if err := c.write(w); err != nil {
				t.Fatal(err)
			}
			if len(w.store.writes) < 2 || w.store.writes[0] != w.reporter.replica {
				t.Fatalf("written in the order %v, want the part that names the loss first", w.store.writes)
			}
			spec := w.first().Spec
			_, losses, err := usage.Decode(spec.Uses)
			if err != nil || len(losses) == 0 && !spec.CoveredFrom.Time.Equal(at(4)) {
				t.Errorf("%v, losses %v, covered from %s", err, losses, spec.CoveredFrom)
			}
			if lossy := len(losses) > 0; spec.Version != v1alpha1.UsageReportWithTokenVersion || lossy != (spec.MinReader == v1alpha1.UsageReportWithLosses) {
				t.Errorf("with %d losses it is of version %d, read from %d on", len(losses), spec.Version, spec.MinReader)
			}
			w.store.writes = nil
			w.now = w.now.Add(2 * time.Minute)
			w.gathered.Note(useOf("hostile", second, w.now))
			if err := w.reporter.step(t.Context()); err != nil || name != "at its end" && len(w.store.writes) != 1 {
				t.Errorf("%v, written %v, want one part: nothing more is lost", err, w.store.writes)
			}
		})
	}
}
