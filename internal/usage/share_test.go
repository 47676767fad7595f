// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package usage_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hallpass-dev/hallpass/internal/usage"
)

func TestAFairShareReducesOnlyTheLargest(t *testing.T) {
	for name, c := range map[string]struct {
		amounts    []int
		room, want int
	}{
		"nothing":                           {nil, 10, 0},
		"all have room":                     {[]int{3, 7}, 10, 7},
		"the largest is reduced":            {[]int{1, 100, 2}, 10, 7},
		"several are reduced to the same":   {[]int{50, 1, 60}, 11, 5},
		"more amounts than there is room":   {[]int{1, 1, 1}, 2, 0},
		"without room nothing has any":      {[]int{1}, 0, 0},
		"room that is missing is no amount": {[]int{1}, -5, 0},
	} {
		t.Run(name, func(t *testing.T) {
			if got := usage.FairShare(c.amounts, c.room); got != c.want {
				t.Errorf("%d, want %d", got, c.want)
			}
		})
	}
}

// A thing is its owner and its age: a3 is the third of a, and after a capital letter it takes two
// places.
func TestTheOldestOfThoseThatHoldTooMuchLeave(t *testing.T) {
	for name, c := range map[string]struct {
		things     string
		room       int
		want, left string
	}{
		"all fit":                               {"a1 a2 b1", 3, "", "a1 a2 b1"},
		"the oldest of the largest leave":       {"a5 a3 a4 b1 b2", 4, "a3", "a5 a4 b1 b2"},
		"one within its share loses none":       {"a5 a6 a7 a8 b1", 3, "a5 a6", "a7 a8 b1"},
		"several lose to the same":              {"a1 a2 a3 a4 b1 b2 b3 b4 b5 c1", 5, "a1 b1 a2 b2 b3", "a3 a4 b4 b5 c1"},
		"more owners than there is room for":    {"a3 b1 c2", 2, "b1", "a3 c2"},
		"large things count as what they take":  {"A1 A2 a3 b1", 4, "A1", "A2 a3 b1"},
		"a thing larger than the excess leaves": {"A1 A2 b1", 4, "A1", "A2 b1"},
		"no room":                               {"a1 b1", 0, "a1 b1", ""},
	} {
		t.Run(name, func(t *testing.T) {
			things := strings.Fields(c.things)
			var table []usage.Held[string, string]
			for _, thing := range things {
				held := usage.Held[string, string]{Thing: thing, Owner: strings.ToLower(thing[:1]), Size: 1, At: int64(thing[1])}
				if held.Owner != thing[:1] {
					held.Size = 2
				}
				table = append(table, held)
			}
			gone := usage.Excess(table, c.room)
			if diff := cmp.Diff(c.want, strings.Join(gone, " ")); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			var left []string
			for _, thing := range things {
				if !slices.Contains(gone, thing) {
					left = append(left, thing)
				}
			}
			if diff := cmp.Diff(c.left, strings.Join(left, " ")); diff != "" {
				t.Errorf("what is left (-want +got):\n%s", diff)
			}
		})
	}
}
