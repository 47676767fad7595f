// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package budget_test

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"strconv"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hallpass-dev/hallpass/internal/budget"
)

// The classes of holders in these tests.
const (
	source = iota
	tenant
)

// shared is a level of four at once and one a second, which guarantees two at once and one in ten
// seconds to each source, and one in five seconds to each tenant.
func shared() *budget.Budget {
	return budget.New(budget.Level{Burst: 4, Interval: time.Second, Shared: true, Shares: []budget.Share{
		source: {Burst: 2, Interval: 10 * time.Second}, tenant: {Burst: 1, Interval: 5 * time.Second},
	}})
}

func TestAHolderHasItsShareAndBorrowsTheRest(t *testing.T) {
	type take struct {
		after   time.Duration // since noon
		class   int
		holder  string
		allowed int
		wait    time.Duration // of the first request that is refused
	}
	for name, takes := range map[string][]take{
		"one holder has what the level has": {
			{0, source, "a", 4, time.Second},
			{time.Second, source, "a", 1, time.Second},
		},
		"a share passes although others have used the level up": {
			{0, source, "a", 4, time.Second},
			{0, source, "b", 2, 3 * time.Second},
			{0, source, "c", 2, 5 * time.Second},
			{0, tenant, "shop", 1, 5 * time.Second},
		},
		"a share that was used comes back by its own interval alone": {
			{0, source, "a", 4, time.Second},
			{0, source, "b", 2, 3 * time.Second},
			// it takes what the level has
			{3 * time.Second, source, "a", 1, time.Second},
			{3 * time.Second, source, "b", 0, time.Second},
			{10 * time.Second, source, "a", 4, time.Second}, // one by its share
			{10 * time.Second, source, "b", 1, 2 * time.Second},
		},
		"shares are paid for by the level": {
			{0, source, "a", 4, time.Second},
			{0, tenant, "1", 1, 2 * time.Second},
			// the level pays back what it owes
			{time.Second, source, "a", 0, time.Second},
			{3 * time.Second, tenant, "2", 2, time.Second},
		},
		"a level owes its burst at the most": {
			{0, source, "a", 4, time.Second},
			{0, source, "b", 2, 3 * time.Second},
			{0, source, "c", 2, 5 * time.Second},
			{0, source, "d", 2, 5 * time.Second},
			{0, source, "e", 2, 5 * time.Second},
			{4 * time.Second, source, "a", 0, time.Second},
			{5 * time.Second, source, "a", 1, time.Second},
		},
		"a holder of another class has its own share": {
			{0, source, "a", 4, time.Second},
			{0, tenant, "a", 1, 2 * time.Second},
		},
		"who waits for its share is told so if that is sooner": {
			{0, source, "a", 4, time.Second},
			{0, tenant, "shop", 1, 2 * time.Second},
			{4500 * time.Millisecond, source, "b", 3, 500 * time.Millisecond},
			{4500 * time.Millisecond, source, "c", 2, 2500 * time.Millisecond},
			{4500 * time.Millisecond, tenant, "shop", 0, 500 * time.Millisecond},
		},
		"an idle holder saves no more than its burst": {
			{time.Hour, source, "b", 4, time.Second},
			{time.Hour, source, "a", 2, 3 * time.Second},
		},
	} {
		t.Run(name, func(t *testing.T) {
			b := shared()
			for i, take := range takes {
				now, key := noon.Add(take.after), budget.Key{Class: take.class, Who: take.holder}
				for n := range take.allowed {
					if d := b.Take(now, key); !d.OK {
						t.Fatalf("step %d: request %d is refused: %+v", i, n, d)
					}
				}
				if diff := cmp.Diff(budget.Decision{Wait: take.wait}, b.Take(now, key)); diff != "" {
					t.Fatalf("step %d: request %d (-want +got):\n%s", i, take.allowed, diff)
				}
			}
		})
	}
}

func TestAClassWithoutAShareOnlyBorrows(t *testing.T) {
	b := budget.New(budget.Level{Burst: 2, Interval: time.Second, Shared: true, Shares: []budget.Share{source: {}, tenant: {Burst: 1, Interval: time.Second}}})
	for i, want := range []bool{true, true, false} {
		if d := b.Take(noon, budget.Key{Class: source, Who: strconv.Itoa(i)}); d.OK != want {
			t.Errorf("request %d: %+v", i, d)
		}
	}
	if d := b.Take(noon, budget.Key{Class: tenant, Who: "shop"}); !d.OK {
		t.Errorf("a class with a share: %+v", d)
	}
	if d := b.Take(noon, budget.Key{Class: 2, Who: "x"}); d.OK {
		t.Errorf("a class that is not there: %+v", d)
	}
}

// A request that another level refuses spends no share.
func TestAShareIsSpentWithTheOtherLevelsOrNotAtAll(t *testing.T) {
	b := budget.New(
		budget.Level{Burst: 1, Interval: time.Second},
		budget.Level{Burst: 1, Interval: time.Minute, Shared: true, Shares: []budget.Share{{Burst: 2, Interval: time.Minute}}},
	)
	of := func(what string) []budget.Key { return []budget.Key{{Who: "a", What: what}, {Level: 1, Who: "a"}} }
	b.Take(noon, budget.Key{Level: 1, Who: "b"}) // the level has nothing left
	for i, want := range []struct {
		what string
		ok   bool
	}{{"x", true}, {"x", false}, {"x", false}, {"y", true}, {"z", false}} {
		if d := b.Take(noon, of(want.what)...); d.OK != want.ok {
			t.Errorf("request %d: %+v", i, d)
		}
	}
}

// Twenty hostile holders ask at full rate, and change their names when they like. The honest one
// asks as often as its share has it, and is never refused. What all get together is bounded.
func TestHostileHoldersNeverTakeAShare(t *testing.T) {
	const (
		hostile = 20
		seconds = 120
	)
	level := budget.Level{Burst: 100, Interval: 20 * time.Millisecond, Shared: true, Shares: []budget.Share{{Burst: 8, Interval: time.Second}}}
	for name, holder := range map[string]func(i, n int) string{
		"of constant names":       func(i, _ int) string { return strconv.Itoa(i) },
		"with a name for a while": func(i, n int) string { return strconv.Itoa(i) + "/" + strconv.Itoa(n/50) },
	} {
		t.Run(name, func(t *testing.T) {
			b := budget.New(level)
			passed, holders := 0, map[string]bool{}
			for ms := range seconds * 1000 {
				now := noon.Add(time.Duration(ms) * time.Millisecond)
				if ms%5 == 0 { // 200 a second of each
					for i := range hostile {
						who := holder(i, ms)
						holders[who] = true
						if b.Take(now, budget.Key{Who: who}).OK {
							passed++
						}
					}
				}
				asks := 0
				switch {
				case ms == 500:
					asks = 8 // its burst
				case ms > 500 && ms%1000 == 500:
					asks = 1
				}
				for range asks {
					if d := b.Take(now, budget.Key{Who: "honest"}); !d.OK {
						t.Fatalf("after %d ms the honest holder is refused: %+v", ms, d)
					}
				}
			}
			if bound := 100 + seconds*50 + len(holders)*8 + hostile*seconds; passed > bound {
				t.Errorf("%d requests passed, bound %d", passed, bound)
			}
		})
	}
}

// Shares that are less than the level has add nothing to the sum.
func TestSharesWithinTheLevelAddNothing(t *testing.T) {
	b := budget.New(budget.Level{Burst: 50, Interval: 20 * time.Millisecond, Shared: true, Shares: []budget.Share{{Burst: 1, Interval: time.Second}}})
	passed := 0
	for ms := range 60_000 {
		for i := range 20 {
			if b.Take(noon.Add(time.Duration(ms)*time.Millisecond), budget.Key{Who: strconv.Itoa(i)}).OK {
				passed++
			}
		}
	}
	if bound := 2*50 + 60*50; passed > bound {
		t.Errorf("%d requests in a minute, bound %d", passed, bound)
	}
}

// Keys that are made up evict no holder whose share is in use, and let none off.
func TestMadeUpHoldersEvictNone(t *testing.T) {
	b := budget.New(budget.Level{Burst: 1, Interval: time.Hour, Shared: true, Shares: []budget.Share{
		source: {Burst: 1, Interval: time.Hour}, tenant: {Burst: 1, Interval: time.Hour},
	}})
	honest := []budget.Key{{Class: source, Who: "192.0.2.1"}, {Class: tenant, Who: "shop"}}
	for _, key := range honest {
		if !b.Take(noon, key).OK {
			t.Fatal("a new holder is refused")
		}
	}
	passed := 0
	for i := range 200_000 {
		if b.Take(noon.Add(time.Second), budget.Key{Class: source, Who: "made up " + strconv.Itoa(i)}).OK {
			passed++
		}
	}
	const entries = 16 << 10
	if passed > entries || passed < entries*9/10 {
		t.Errorf("%d made-up holders had a share, of which there are %d", passed, entries)
	}
	for _, key := range honest {
		if d := b.Take(noon.Add(time.Second), key); d.OK {
			t.Errorf("%s was evicted: its share is whole again", key.Who)
		}
		if d := b.Take(noon.Add(2*time.Hour), key); !d.OK {
			t.Errorf("%s has lost its share: %+v", key.Who, d)
		}
	}
	if d := b.Take(noon.Add(time.Second), budget.Key{Class: tenant, Who: "orders"}); !d.OK {
		t.Errorf("sources that were made up took the share of a tenant: %+v", d)
	}
}

// FuzzShares: in any order of requests a holder gets at least what GCRA with its share alone gives
// it, and all together get at most what the level has and the shares.
func FuzzShares(f *testing.F) {
	f.Add([]byte{0, 0, 0, 0, 1, 1, 2, 2, 0x13, 0x20, 0x31})
	f.Fuzz(func(t *testing.T, requests []byte) {
		const burst, share = 3, 2
		interval, shareInterval := 100*time.Millisecond, 250*time.Millisecond
		b := budget.New(budget.Level{Burst: burst, Interval: interval, Shared: true, Shares: []budget.Share{{Burst: share, Interval: shareInterval}}})
		alone := map[string]*budget.Budget{}
		now, passed := noon, 0
		for i, request := range requests {
			now = now.Add(time.Duration(request>>3) * 10 * time.Millisecond)
			who := strconv.Itoa(int(request & 7))
			if alone[who] == nil {
				alone[who] = budget.New(budget.Level{Burst: share, Interval: shareInterval, Shared: true})
			}
			ok := b.Take(now, budget.Key{Who: who}).OK
			if alone[who].Take(now, budget.Key{}).OK && !ok {
				t.Fatalf("request %d: %s is refused within its share", i, who)
			}
			if ok {
				passed++
			}
		}
		took := now.Sub(noon)
		bound := burst + int(took/interval) + len(alone)*(share+int(took/shareInterval))
		if passed > bound {
			t.Errorf("%d passed in %s, bound %d", passed, took, bound)
		}
	})
}

func TestTakeWithSharesAllocatesNothing(t *testing.T) {
	b := shared()
	now := noon
	if n := testing.AllocsPerRun(100, func() {
		now = now.Add(time.Millisecond)
		b.Take(now, budget.Key{Class: tenant, Who: "shop"})
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// Sources of one network that fill the table have no share of it that a source of another network
// wants, and get no more of it by new names.
func TestManySourcesOfANetworkFillTheirOwnPartOfTheTable(t *testing.T) {
	for name, hostile := range map[string]func(i int) netip.Prefix{
		"a /48": func(i int) netip.Prefix {
			a := netip.MustParseAddr("2001:db8:1::").As16()
			binary.BigEndian.PutUint16(a[6:], uint16(i)) //nolint:gosec // all of them
			return netip.PrefixFrom(netip.AddrFrom16(a), 64)
		},
		"a /16": func(i int) netip.Prefix {
			return netip.PrefixFrom(netip.AddrFrom4([4]byte{198, 18, byte(i >> 8), byte(i)}), 32) //nolint:gosec // parts of it
		},
	} {
		t.Run(name, func(t *testing.T) {
			const all = 1 << 16
			b := budget.New(budget.Level{Burst: 1, Interval: time.Hour, Shared: true, Shares: []budget.Share{
				source: {Burst: 1, Interval: time.Hour, Sources: &budget.Sources{OwnPrefixes: []netip.Prefix{netip.MustParsePrefix("fd00::/16")}}},
			}})
			take := func(who string) bool { return b.Take(noon, budget.Key{Class: source, Who: who}).OK }
			kept := []string{"10.244.1.7", "fd00:1::7", "203.0.113.7", "2001:db8:2::/64"}
			for _, who := range kept {
				if !take(who) {
					t.Fatalf("%s is refused in an empty table", who)
				}
			}
			names := make([][2]string, all) // made once for four floods
			for i := range names {
				names[i] = [...]string{hostile(i).String(), hostile(i).Addr().String()}
			}
			flood := func() (passed int) {
				for _, name := range names {
					if take(name[0]) || take(name[1]) {
						passed++
					}
				}
				return passed
			}
			const entries = 16 << 10
			// more than there are: until narrow networks have equal parts
			if passed := flood(); passed < entries*9/10 || passed > entries*5/4 {
				t.Fatalf("%d hostile sources had a share, of which there are %d", passed, entries)
			}
			const honest = 500
			for i := range honest {
				for _, who := range []string{fmt.Sprintf("10.245.%d.%d", i%200, i/200+1), fmt.Sprintf("%d.%d.1.1", 11+i%100, 1+i/100), fmt.Sprintf("2a00:%x::/64", i+1), fmt.Sprintf("fd00:2::%x", i)} {
					if !take(who) {
						t.Errorf("the share of %s is taken", who)
					}
				}
			}
			for _, who := range kept {
				if take(who) {
					t.Errorf("%s was evicted: its share is whole again", who)
				}
			}
			if passed := flood() + flood() + flood(); passed > entries/100 {
				t.Errorf("%d hostile sources have a share once more", passed)
			}
		})
	}
}

func BenchmarkTakeOfAFullTable(b *testing.B) {
	table := budget.New(budget.Level{Burst: 1, Interval: time.Hour, Shared: true, Shares: []budget.Share{
		source: {Burst: 1, Interval: time.Hour, Sources: &budget.Sources{}},
	}})
	names := make([]string, 1<<16)
	for i := range names {
		names[i] = netip.AddrFrom4([4]byte{198, 18, byte(i >> 8), byte(i)}).String()
		table.Take(noon, budget.Key{Class: source, Who: names[i]})
	}
	for i := 0; b.Loop(); i++ {
		table.Take(noon, budget.Key{Class: source, Who: names[i%len(names)]})
	}
}
