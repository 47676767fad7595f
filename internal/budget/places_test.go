// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package budget_test

import (
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
	p := budget.NewPlaces(10, 4, 2)
	if n := testing.AllocsPerRun(100, func() {
		p.Enter("a")
		p.Leave("a")
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
