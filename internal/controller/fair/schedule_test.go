// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package fair

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var noon = time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)

func at(minute int) time.Time { return noon.Add(time.Duration(minute) * time.Minute) }

// slotsOf are slots by their items, which begin with their namespaces, such as a/1.
type slotsOf map[string]*Slot[string]

func (s slotsOf) of(item string) *Slot[string] {
	if s[item] == nil {
		namespace, _, _ := strings.Cut(item, "/")
		s[item] = &Slot[string]{Item: item, Namespace: namespace}
	}
	return s[item]
}

func TestNamespacesTakeTurnsInASchedule(t *testing.T) {
	type scheduled struct {
		item string
		due  int
	}
	for name, c := range map[string]struct {
		slots []scheduled
		now   int
		want  string
	}{
		"those of one namespace come as they are due": {[]scheduled{{"a/2", 2}, {"a/1", 1}, {"a/3", 3}}, 3, "a/1 a/2 a/3"},
		"namespaces take turns":                       {[]scheduled{{"a/1", 0}, {"a/2", 1}, {"a/3", 2}, {"b/1", 3}, {"c/1", 2}}, 3, "a/1 b/1 c/1 a/2 a/3"},
		"what is not due has no turn":                 {[]scheduled{{"a/1", 5}, {"b/1", 0}, {"b/2", 4}}, 3, "b/1"},
		"one that is moved forward":                   {[]scheduled{{"a/1", 5}, {"a/2", 2}, {"a/1", 1}}, 3, "a/1 a/2"},
		"one that is moved back stays":                {[]scheduled{{"a/1", 1}, {"a/1", 5}}, 3, "a/1"},
		"nothing":                                     {nil, 3, ""},
	} {
		t.Run(name, func(t *testing.T) {
			var q Schedule[string]
			slots := slotsOf{}
			for _, s := range c.slots {
				q.Add(slots.of(s.item), at(s.due))
			}
			if q.Len() != len(slots) {
				t.Errorf("%d wait, want %d", q.Len(), len(slots))
			}
			var served []string
			next, wait := q.Next(at(c.now), time.Hour)
			for ; next != nil; next, wait = q.Next(at(c.now), time.Hour) {
				served = append(served, next.Item)
			}
			if diff := cmp.Diff(c.want, strings.Join(served, " ")); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			want := time.Hour
			for _, s := range slots {
				if s.Waits() {
					want = min(want, s.Due().Sub(at(c.now)))
				}
			}
			if wait != want {
				t.Errorf("waits for %s, want %s", wait, want)
			}
			for _, s := range slots {
				q.Remove(s)
			}
			if q.Len()+len(q.shares)+len(q.byNamespace) != 0 {
				t.Errorf("%d slots of %d namespaces are left", q.Len(), len(q.shares))
			}
		})
	}
}

func TestTheNamespaceWithTheMostHasTheExcess(t *testing.T) {
	var q Schedule[string]
	if q.Excess() != nil {
		t.Error("an empty schedule has an excess")
	}
	slots := slotsOf{}
	for i, item := range []string{"a/1", "b/1", "b/2", "b/3", "c/1"} {
		q.Add(slots.of(item), at(i))
	}
	for q.Len() > 3 {
		excess := q.Excess()
		if excess.Namespace != "b" || excess == slots["b/1"] {
			t.Errorf("the excess is %s", excess.Item)
		}
		q.Remove(excess)
	}
	if q.LenOf("a") != 1 || q.LenOf("b") != 1 || q.LenOf("c") != 1 || q.LenOf("d") != 0 {
		t.Errorf("%d, %d and %d are left", q.LenOf("a"), q.LenOf("b"), q.LenOf("c"))
	}
}
