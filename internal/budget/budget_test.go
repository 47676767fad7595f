// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package budget_test

import (
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hallpass-dev/hallpass/internal/budget"
)

var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

// The levels of the hierarchy of these tests.
const (
	caller = iota
	namespace
	everybody
)

func hierarchy() *budget.Budget {
	return budget.New(
		budget.Level{Burst: 2, Interval: time.Second},
		budget.Level{Burst: 3, Interval: 10 * time.Second},
		budget.Level{Burst: 4, Interval: time.Minute, Shared: true},
	)
}

// of are the keys of a caller in a namespace.
func of(name, in string) []budget.Key {
	return []budget.Key{{Level: caller, Who: in, What: name}, {Level: namespace, Who: in}, {Level: everybody}}
}

func TestEachLevelRefusesForItself(t *testing.T) {
	type take struct {
		after time.Duration // since noon
		keys  []budget.Key
		want  budget.Decision
	}
	ok := budget.Decision{OK: true}
	for name, takes := range map[string][]take{
		"a caller beyond its burst waits for one interval": {
			{0, of("a", "shop"), ok},
			{0, of("a", "shop"), ok},
			{0, of("a", "shop"), budget.Decision{Level: caller, Wait: time.Second}},
			{300 * time.Millisecond, of("a", "shop"), budget.Decision{Level: caller, Wait: 700 * time.Millisecond}},
			{time.Second, of("a", "shop"), ok},
		},
		"callers of one namespace share its level": {
			{0, of("a", "shop"), ok},
			{0, of("b", "shop"), ok},
			{0, of("c", "shop"), ok},
			{0, of("d", "shop"), budget.Decision{Level: namespace, Wait: 10 * time.Second}},
			{0, of("d", "orders"), ok},
		},
		"all callers share the last level": {
			{0, of("a", "1"), ok},
			{0, of("a", "2"), ok},
			{0, of("a", "3"), ok},
			{0, of("a", "4"), ok},
			{0, of("a", "5"), budget.Decision{Level: everybody, Wait: time.Minute}},
			{time.Minute, of("a", "5"), ok},
			{time.Minute, of("a", "6"), budget.Decision{Level: everybody, Wait: time.Minute}},
		},
		"of several levels that refuse the one with the longest wait is reported": {
			{0, of("a", "shop"), ok},
			{0, of("a", "shop"), ok},
			{0, of("b", "shop"), ok},
			{0, of("a", "shop"), budget.Decision{Level: namespace, Wait: 10 * time.Second}},
		},
		"a refused request spends at no level": {
			{0, of("a", "shop"), ok},
			{0, of("a", "shop"), ok},
			{0, of("a", "shop"), budget.Decision{Level: caller, Wait: time.Second}},
			{0, of("a", "shop"), budget.Decision{Level: caller, Wait: time.Second}},
			{0, of("b", "shop"), ok}, // the third of the namespace
			{0, of("b", "orders"), ok},
			{0, of("c", "orders"), budget.Decision{Level: everybody, Wait: time.Minute}},
			{0, []budget.Key{{Level: caller, Who: "orders", What: "c"}}, ok},
			// the caller spent nothing before
			{0, []budget.Key{{Level: caller, Who: "orders", What: "c"}}, ok},
		},
		"some levels alone": {
			{0, []budget.Key{{Level: everybody}}, ok},
			{0, of("a", "shop")[:1], ok},
			{0, nil, ok},
		},
		"an idle key saves no more than its burst": {
			{0, of("a", "shop")[:1], ok},
			{time.Hour, of("a", "shop")[:1], ok},
			{time.Hour, of("a", "shop")[:1], ok},
			{time.Hour, of("a", "shop")[:1], budget.Decision{Level: caller, Wait: time.Second}},
		},
		"who and what are told apart": {
			{0, []budget.Key{{Level: caller, Who: "x"}}, ok},
			{0, []budget.Key{{Level: caller, Who: "x"}}, ok},
			{0, []budget.Key{{Level: caller, What: "x"}}, ok},
			{0, []budget.Key{{Level: caller, Who: "x"}}, budget.Decision{Level: caller, Wait: time.Second}},
		},
		"a clock that steps back lets no key off": {
			{time.Hour, of("a", "shop")[:1], ok},
			{time.Hour, of("a", "shop")[:1], ok},
			{0, of("a", "shop")[:1], budget.Decision{Level: caller, Wait: time.Hour + time.Second}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			b := hierarchy()
			for i, take := range takes {
				if diff := cmp.Diff(take.want, b.Take(noon.Add(take.after), take.keys...)); diff != "" {
					t.Errorf("request %d (-want +got):\n%s", i, diff)
				}
			}
		})
	}
}

// However many other keys there are, a key that is spent stays so, and no other key is refused for
// it.
func TestAFloodOfKeysLetsNobodyOff(t *testing.T) {
	const burst, entries = 8, 16 << 10
	b := budget.New(budget.Level{Burst: burst, Interval: time.Second})
	guesser := budget.Key{Who: "192.0.2.1", What: "shop.reporting"}
	for range burst {
		if !b.Take(noon, guesser).OK {
			t.Fatal("refused within the limit")
		}
	}
	for i := range 3 * entries {
		if !b.Take(noon, budget.Key{Who: strconv.Itoa(i), What: "c"}).OK {
			t.Fatalf("key %d is refused for others", i)
		}
		if d := b.Take(noon, guesser); d.OK || d.Wait != time.Second {
			t.Fatalf("after %d keys the guesser is let off: %+v", i, d)
		}
	}
	if !b.Take(noon.Add(time.Second), guesser).OK {
		t.Error("still refused after the wait")
	}
}

func TestARateIsKeptOverTime(t *testing.T) {
	b := budget.New(budget.Level{Burst: 10, Interval: 100 * time.Millisecond, Shared: true})
	allowed := 0
	for ms := range 10_000 {
		if b.Take(noon.Add(time.Duration(ms)*time.Millisecond), budget.Key{}).OK {
			allowed++
		}
	}
	if want := 10 + 99; allowed != want { // the burst, and one each 100 ms after it
		t.Errorf("%d requests in ten seconds, want %d", allowed, want)
	}
}

func TestRequestsAtOnceSpendNothingTwice(t *testing.T) {
	b := hierarchy()
	var allowed atomic.Int64
	var running sync.WaitGroup
	for i := range 100 {
		running.Go(func() {
			if b.Take(noon, of("a", strconv.Itoa(i))...).OK {
				allowed.Add(1)
			}
		})
	}
	running.Wait()
	if allowed.Load() != 4 {
		t.Errorf("%d requests, want 4", allowed.Load())
	}
}

func TestTakeAllocatesNothing(t *testing.T) {
	b := hierarchy()
	now := noon
	if n := testing.AllocsPerRun(100, func() {
		now = now.Add(time.Minute)
		b.Take(now, budget.Key{Level: caller, Who: "shop", What: "a"}, budget.Key{Level: namespace, Who: "shop"}, budget.Key{Level: everybody})
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
