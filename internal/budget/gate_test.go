// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package budget_test

import (
	"testing"

	"github.com/hallpass-dev/hallpass/internal/budget"
)

func TestAGateAdmitsItsLimitAtOnce(t *testing.T) {
	gate := budget.NewGate(2)
	for range 3 {
		for range 2 {
			if !gate.Enter() {
				t.Fatal("no room in an empty gate")
			}
		}
		if gate.Enter() {
			t.Fatal("room for a third")
		}
		gate.Leave()
		if !gate.Enter() || gate.Enter() {
			t.Fatal("who left made room for one")
		}
		gate.Leave()
		gate.Leave()
	}
}

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
	enter("d", 6) // whoever left owes nothing
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
