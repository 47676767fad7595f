// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package usage

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hallpass-dev/hallpass/internal/oauth2"
)

const (
	alice = "6f1d3c1e-0c1b-4a57-9d0a-0a1b2c3d4e5f"
	bob   = "0a1d3c1e-0c1b-4a57-9d0a-0a1b2c3d4e60"
)

var noon = time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)

func at(minutes int) time.Time { return noon.Add(time.Duration(minutes) * time.Minute) }

func seen(g *Gatherer, uid string, now time.Time) Seen {
	entries, _ := g.Entries(MinuteOf(now))
	for _, e := range entries {
		if e.Key == KeyOf(uid) {
			return e.Seen
		}
	}
	return Seen{}
}

func TestKeys(t *testing.T) {
	if KeyOf(alice) == KeyOf(strings.ToUpper(alice)) {
		t.Error("two texts of a UUID have one key")
	}
	if KeyOf(alice) == KeyOf(bob) || KeyOf("uid-1") == KeyOf("uid-2") {
		t.Error("two UIDs have one key")
	}
	if want := (Key{0x6f, 0x1d, 0x3c, 0x1e, 0x0c, 0x1b, 0x4a, 0x57, 0x9d, 0x0a, 0x0a, 0x1b, 0x2c, 0x3d, 0x4e, 0x5f}); KeyOf(alice) != want {
		t.Errorf("the key of a UUID is %x, want its bytes", KeyOf(alice))
	}
	if n := testing.AllocsPerRun(100, func() { KeyOf(alice) }); n > 0 {
		t.Errorf("the key of a UUID takes %v allocations", n)
	}
}

func TestTheLastUseOfEachKindIsRemembered(t *testing.T) {
	g := NewGatherer(MinuteOf(noon))
	g.Note(oauth2.Use{Subject: alice, At: at(1).Add(30 * time.Second), Credential: "one", Issued: true})
	g.Note(oauth2.Use{Subject: alice, At: at(3), Credential: "two"})
	g.Note(oauth2.Use{Subject: alice, At: at(2), Credential: "two", Issued: true}) // it took longer than the one before
	g.Note(oauth2.Use{Subject: alice, At: at(4), Presented: true})
	g.Note(oauth2.Use{Subject: alice, At: at(5), Stale: oauth2.ExpiredTokenUsed, Source: "192.0.2.1"})
	g.Note(oauth2.Use{Subject: alice, At: at(6), Stale: oauth2.ExpiredTokenUsed, Source: "192.0.2.2"})
	g.Note(oauth2.Use{At: at(6), Issued: true}) // of nobody
	want := Seen{
		Issued: MinuteOf(at(2)), Presented: MinuteOf(at(4)),
		Credentials: []Credential{{"one", MinuteOf(at(1))}, {"two", MinuteOf(at(3))}},
		Stale:       []Stale{{Use: oauth2.ExpiredTokenUsed, Count: 2, At: MinuteOf(at(6)), Source: "192.0.2.2"}},
	}
	if diff := cmp.Diff(want, seen(g, alice, at(7))); diff != "" {
		t.Errorf("seen (-want +got):\n%s", diff)
	}
	if last := want.Last(); last != MinuteOf(at(4)) {
		t.Errorf("last used %s, want at 12:04: an expired token is no use", last.Time())
	}
}

func TestWhatCannotStandInAReportIsNotRemembered(t *testing.T) {
	g := NewGatherer(1)
	g.Note(oauth2.Use{Subject: alice, At: noon, Credential: "a b", Issued: true})
	g.Note(oauth2.Use{Subject: alice, At: noon, Stale: oauth2.RevokedTokenUsed, Source: "\x1b[31m"})
	got := seen(g, alice, noon)
	if len(got.Credentials) > 0 || got.Stale[0].Source != "" {
		t.Errorf("%+v, want neither", got)
	}
	if got.Issued != MinuteOf(noon) {
		t.Error("the rest of the use is forgotten, too")
	}
}

func TestASecretThatWasPushedOutWasNotUsedLaterThanThoseThatAreThere(t *testing.T) {
	g := NewGatherer(MinuteOf(noon))
	for i := range MaxCredentials + 1 {
		g.Note(oauth2.Use{Subject: alice, At: at(i), Credential: fmt.Sprint("secret-", i)})
	}
	got := seen(g, alice, at(60))
	if len(got.Credentials) != MaxCredentials || got.Credential("secret-0") != 0 {
		t.Fatalf("%+v", got.Credentials)
	}
	if most := got.AtMost("secret-0"); most < MinuteOf(at(0)) || most > MinuteOf(at(1)) {
		t.Errorf("at most at %s", most.Time())
	}
	if most := (Seen{Credentials: []Credential{{"x", 5}}}).AtMost("y"); most != 0 {
		t.Errorf("a secret that was never used was so at %d at most", most)
	}
}

func TestWhatIsForgottenIsNotCovered(t *testing.T) {
	g := NewGatherer(MinuteOf(noon))
	g.Note(oauth2.Use{Subject: alice, At: noon, Issued: true})
	g.Note(oauth2.Use{Subject: bob, At: at(keepMinutes), Issued: true})
	later := MinuteOf(at(keepMinutes + 5))
	entries, from := g.Entries(later)
	if len(entries) != 1 || entries[0].Key != KeyOf(bob) || from <= MinuteOf(noon) {
		t.Errorf("%d entries from %s on, want bob alone, from after noon on", len(entries), from.Time())
	}
	if again, _ := g.Entries(later); len(again) != 1 {
		t.Error("forgetting is not for good")
	}
}

func TestWhereThereIsNoRoomCoverageIsBroken(t *testing.T) {
	g := NewGatherer(MinuteOf(noon))
	g.subjects.Store(maxSubjects)
	g.Note(oauth2.Use{Subject: alice, At: at(5), Issued: true})
	if _, from := g.Entries(MinuteOf(at(6))); from != MinuteOf(at(6)) {
		t.Errorf("covered from %s, want only after what was lost", from.Time())
	}
}

func TestNoteAllocatesNothing(t *testing.T) {
	g := NewGatherer(1)
	use := oauth2.Use{Subject: alice, At: noon, Credential: "abcdefghijkl", Issued: true, Stale: oauth2.PreviousSecretUsed, Source: "192.0.2.1"}
	g.Note(use)
	if n := testing.AllocsPerRun(1000, func() { g.Note(use) }); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestRequestsNoteAtOnce(t *testing.T) {
	g := NewGatherer(1)
	var running sync.WaitGroup
	for n := range 8 {
		running.Go(func() {
			for i := range 1000 {
				g.Note(oauth2.Use{
					Subject: fmt.Sprint("uid-", i%100), At: at(i), Credential: fmt.Sprint("secret-", n), Stale: oauth2.StaleUses[i%len(oauth2.StaleUses)],
				})
				if i%100 == 0 {
					entries, _ := g.Entries(MinuteOf(at(i)))
					if _, err := Decode(Encode(entries)); err != nil {
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

func TestMergingNeverGoesBack(t *testing.T) {
	now := MinuteOf(at(60))
	var merged Seen
	steps := []struct {
		name string
		seen Seen
		news bool
		want Seen
	}{
		{"the first report is news", Seen{Issued: 10, Credentials: []Credential{{"a", 10}}}, true, Seen{Issued: 10, Credentials: []Credential{{"a", 10}}}},
		{"the same again is none", Seen{Issued: 10, Credentials: []Credential{{"a", 10}}}, false, Seen{Issued: 10, Credentials: []Credential{{"a", 10}}}},
		{"an earlier one neither", Seen{Issued: 9, Credentials: []Credential{{"a", 2}}}, false, Seen{Issued: 10, Credentials: []Credential{{"a", 10}}}},
		{
			"another secret is", Seen{Credentials: []Credential{{"b", 4}}}, true,
			Seen{Issued: 10, Credentials: []Credential{{"a", 10}, {"b", 4}}},
		},
		{
			"what is ahead of the clock is cut", Seen{Presented: now + 1000}, true,
			Seen{Issued: 10, Presented: now, Credentials: []Credential{{"a", 10}, {"b", 4}}},
		},
		{
			"a stale use keeps its address", Seen{Stale: []Stale{{Use: oauth2.RevokedTokenUsed, Count: 3, At: 7, Source: "192.0.2.1"}}}, true,
			Seen{
				Issued: 10, Presented: now, Credentials: []Credential{{"a", 10}, {"b", 4}},
				Stale: []Stale{{Use: oauth2.RevokedTokenUsed, Count: 3, At: 7, Source: "192.0.2.1"}},
			},
		},
	}
	for _, step := range steps {
		if news := merged.Merge(step.seen, now); news != step.news {
			t.Errorf("%s: news is %t", step.name, news)
		}
		if diff := cmp.Diff(step.want, merged); diff != "" {
			t.Errorf("%s (-want +got):\n%s", step.name, diff)
		}
	}
}

// world is so many clients with all that can be told of one.
func world(clients int) []Entry {
	g := NewGatherer(1)
	for i := range clients {
		uid := fmt.Sprintf("%08x-0c1b-4a57-9d0a-0a1b2c3d%04x", i, i*7919%(1<<16))
		g.Note(oauth2.Use{Subject: uid, At: at(i % 600), Credential: fmt.Sprintf("abcdefgh%04d", i%10000), Issued: i%3 != 0, Presented: i%2 == 0})
		if i%10 == 0 {
			g.Note(oauth2.Use{Subject: uid, At: at(i % 500), Credential: "zzzzzzzzzzzz", Stale: oauth2.PreviousSecretUsed, Source: "2001:db8::/64"})
		}
	}
	entries, _ := g.Entries(MinuteOf(at(600)))
	return entries
}

func TestWhatIsEncodedIsDecoded(t *testing.T) {
	for _, clients := range []int{0, 1, 1000} {
		entries := world(clients)
		decoded, err := Decode(Encode(entries))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(entries, decoded); diff != "" {
			t.Errorf("%d clients (-want +got):\n%s", clients, diff)
		}
	}
}

func TestAHundredThousandClientsFitIntoAFewReports(t *testing.T) {
	entries := world(100_000)
	parts, whole := Split(entries, 1)
	if !whole || len(parts) > 32 {
		t.Fatalf("%d parts, whole %t", len(parts), whole)
	}
	total := 0
	for i, part := range parts {
		decoded, err := Decode(part)
		if err != nil {
			t.Fatalf("part %d: %v", i, err)
		}
		total += len(decoded)
	}
	if total != len(entries) {
		t.Errorf("%d of %d clients are in the parts", total, len(entries))
	}
	t.Logf("%d parts of at most %d bytes", len(parts), MaxReport)
	if fewer, _ := Split(world(10), len(parts)); len(fewer) != len(parts) {
		t.Error("parts become fewer, and clients move into ones that are written later")
	}
}

func TestADamagedReportIsRefusedWhole(t *testing.T) {
	good := Encode(world(20))
	for cut := range good {
		if _, err := Decode(good[:cut]); !errors.Is(err, ErrUnreadable) {
			t.Fatalf("the first %d of %d bytes: %v", cut, len(good), err)
		}
	}
	if _, err := Decode(append(bytes.Clone(good), 0)); !errors.Is(err, ErrUnreadable) {
		t.Errorf("a byte too many: %v", err)
	}
	for name, other := range map[string][]byte{
		"a number in more bytes than it takes": append([]byte{0x81, 0}, good[1:]...),
		"a base that is no instant's":          append([]byte{1, 5}, Encode(nil)[2:]...),
	} {
		if entries, err := Decode(other); !errors.Is(err, ErrUnreadable) {
			t.Errorf("%s: %+v, %v", name, entries, err)
		}
	}
	twice := world(1)
	if _, err := Decode(Encode(append(twice, twice[0]))); !errors.Is(err, ErrUnreadable) {
		t.Errorf("one client twice: %v", err)
	}
}

// FuzzDecode reads reports that the token server did not write: nothing panics, nothing grows, and what is read can be written.
func FuzzDecode(f *testing.F) {
	f.Add(Encode(nil))
	f.Add(Encode(world(3)))
	f.Add([]byte{1, 0xff, 0xff, 0xff, 0xff, 0x0f, 0xff, 0xff, 0x01})
	f.Fuzz(func(t *testing.T, data []byte) {
		entries, err := Decode(data)
		if err != nil {
			return
		}
		if len(entries)*len(Key{}) > len(data) {
			t.Fatalf("%d entries of %d bytes", len(entries), len(data))
		}
		if again := Encode(entries); !bytes.Equal(again, data) {
			t.Fatalf("%x reads as %+v, which is written as %x", data, entries, again)
		}
		var merged Seen
		for _, e := range entries {
			merged.Merge(e.Seen, MinuteOf(noon))
			if merged.Last() > MinuteOf(noon) || len(merged.Credentials) > MaxCredentials || len(merged.Stale) > len(oauth2.StaleUses) {
				t.Fatalf("merged into %+v", merged)
			}
		}
	})
}

func BenchmarkNote(b *testing.B) {
	g := NewGatherer(1)
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			g.Note(oauth2.Use{Subject: alice, At: noon, Credential: "abcdefghijkl", Issued: true})
		}
	})
}
