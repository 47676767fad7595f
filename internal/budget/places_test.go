// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package budget_test

import (
	"fmt"
	"net/netip"
	"testing"

	"github.com/hallpass-dev/hallpass/internal/budget"
)

func TestPlacesGuaranteeEachHolderItsShare(t *testing.T) {
	p := budget.NewPlaces(10, 4, 2)
	enter := func(holder string, want int) {
		t.Helper()
		for i := range want {
			if !p.Enter(holder) {
				t.Fatalf("%s has no place for number %d", holder, i+1)
			}
		}
		if p.Enter(holder) {
			t.Fatalf("%s has more than %d places", holder, want)
		}
	}
	enter("a", 6) // its share and all that is lent
	enter("b", 2)
	enter("c", 2)
	enter("d", 0) // ten in all
	p.Leave("a")
	enter("b", 1) // borrowed from what a gave back
	p.Leave("b")
	p.Leave("c")
	if !p.Enter("d") || !p.Enter("a") {
		t.Fatal("no place although two were given back")
	}
	for holder, n := range map[string]int{"a": 6, "b": 2, "c": 1, "d": 1} {
		for range n {
			p.Leave(holder)
		}
	}
	enter("d", 6) // a request that left owes nothing
}

func TestAPlaceMovesToAnotherHolder(t *testing.T) {
	p := budget.NewPlaces(4, 2, 1)
	for range 3 { // its share, and all that is lent
		if !p.Enter("proxy") {
			t.Fatal("no place")
		}
	}
	for _, client := range []string{"a", "b"} { // which pays for them by their shares
		if !p.Move("proxy", client) {
			t.Fatalf("no place for the share of %s", client)
		}
	}
	if !p.Move("proxy", "a") || !p.Enter("proxy") {
		t.Error("what the proxy borrowed was not given back")
	}
	if p.Enter("c") {
		t.Error("more than four places")
	}
	p.Leave("proxy")
	if !p.Enter("a") || p.Enter("a") { // two are lent
		t.Error("a does not hold what was moved to it")
	}
	p.Leave("b")
	if !p.Enter("proxy") || p.Move("proxy", "a") {
		t.Error("a place moved beyond what is lent")
	}
	p.Leave("proxy") // it still had it
	if !p.Enter("b") || p.Enter("c") {
		t.Error("a move that was refused changed something")
	}
}

func TestPlacesAllocateNothing(t *testing.T) {
	p := budget.NewSourcePlaces(10, 4, 2, budget.Sources{})
	for _, holder := range []string{"shop", "198.51.100.1/32", "203.0.113.1", "2001:db8::/64", "10.0.0.1/32"} {
		if n := testing.AllocsPerRun(100, func() {
			p.Enter(holder)
			p.Leave(holder)
		}); n != 0 {
			t.Errorf("%v allocations of %s", n, holder)
		}
	}
}

func TestTheNetworksOfSourcesHaveSharesOfPlaces(t *testing.T) {
	sources := budget.Sources{OwnPrefixes: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}}
	p := budget.NewSourcePlaces(100, 60, 2, sources)
	// enter counts the places of sources, each of which takes as many as it gets.
	enter := func(list ...string) (n int) {
		for _, source := range list {
			for p.Enter(source) {
				n++
			}
		}
		return n
	}
	of := func(form string) (list []string) {
		for i := range 100 {
			list = append(list, fmt.Sprintf(form, i))
		}
		return list
	}
	type step struct {
		who  []string
		want int
	}
	for _, s := range []step{
		// all that is lent, and an eighth of what is free, for a /24
		{of("198.51.1.%d"), 60 + 4},
		{of("198.51.2.%d"), 4},       // another one in the same /16, which has a quarter
		{of("198.51.%d.9/32"), 0},    // and no more
		{[]string{"203.0.113.1"}, 2}, // another network
		{of("192.0.2.%d/32"), 30},    // an own prefix is no party
		{of("namespace-%d"), 0},      // all places are taken
	} {
		if got := enter(s.who...); got != s.want {
			t.Errorf("%s and others have %d places, want %d", s.who[0], got, s.want)
		}
	}
}
