// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package budget

import (
	"fmt"
	"hash/maphash"
	"math/rand/v2"
	"testing"
)

// TestPlacesCountWhatIsHeld compares Places with a count of it, through any order of calls.
func TestPlacesCountWhatIsHeld(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // it has to be the same again
	holders := []string{"shop", "10.0.0.1", "198.51.1.1", "198.51.1.2", "198.51.2.1/32", "2001:db8:1::/64", "2001:db8:1:1::/64", "2001:db8:2::/64", "203.0.113.1"}
	for range 200 {
		p := NewSourcePlaces(12, 4, 2, Sources{})
		held := map[string]int{}
		sum := func() (n int) {
			for _, has := range held {
				n += has
			}
			return n
		}
		for range 300 {
			who, to := holders[random.IntN(len(holders))], holders[random.IntN(len(holders))]
			switch {
			case held[who] > 0 && random.IntN(3) == 0:
				p.Leave(who)
				held[who]--
			case held[who] > 0 && random.IntN(2) == 0:
				if p.Move(who, to) {
					held[who]--
					held[to]++
				}
			case p.Enter(who):
				held[who]++
			}
			if sum() > 12 {
				t.Fatalf("%d places: %v", sum(), held)
			}
		}
		for who, n := range held {
			for range n {
				p.Leave(who)
			}
		}
		if p.used != 0 || p.borrowed != 0 || len(p.few) != 0 || p.holders != 0 || len(p.networks) != 0 {
			t.Fatalf("%d used, %d borrowed, %v and %v although nothing is held", p.used, p.borrowed, p.held, p.networks)
		}
	}
}

func TestHoldersWithoutAPlaceAreFew(t *testing.T) {
	p := NewPlaces(10, 5, 1)
	p.few = nil // holders are counted from the first place on
	for i := range 10 * maxIdle {
		holder := fmt.Sprint(i)
		if !p.Enter(holder) || !p.Enter("stays") {
			t.Fatal("no place")
		}
		p.Leave(holder)
		if n := len(p.held); n > maxIdle+1 {
			t.Fatalf("%d holders are remembered", n)
		}
		if i > 0 {
			p.Leave("stays")
		}
	}
	if p.held[maphash.String(p.seed, "stays")].places != 1 || p.used != 1 || p.holders != 1 {
		t.Errorf("%d places of %d holders are used", p.used, p.holders)
	}
}

func BenchmarkPlaces(b *testing.B) {
	p := NewSourcePlaces(512, 384, 4, Sources{})
	for b.Loop() {
		p.Enter("198.51.100.7")
		p.Move("198.51.100.7", "shop")
		p.Leave("shop")
	}
}
