// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package usage

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hallpass-dev/hallpass/internal/wire"
)

// lossesOf are the losses of so many namespaces, in their order.
func lossesOf(n int) (losses []Loss) {
	for i := range n {
		losses = append(losses, Loss{fmt.Sprintf("namespace-%03d", i), MinuteOf(at(i))})
	}
	return losses
}

func TestLossesThatAreEncodedAreDecoded(t *testing.T) {
	for _, n := range []int{0, 1, MaxLosses} {
		want, entries := lossesOf(n), entriesOf(3)
		encoded := Encode(entries, want...)
		got, losses, err := Decode(encoded)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, losses); diff != "" {
			t.Errorf("%d losses (-want +got):\n%s", n, diff)
		}
		if diff := cmp.Diff(entries, got); diff != "" {
			t.Errorf("entries (-want +got):\n%s", diff)
		}
		if n == 0 != (string(encoded) == string(Encode(entries))) {
			t.Errorf("with %d losses the form is that of a report without any", n)
		}
	}
}

func TestLossesOutOfBoundsAreUnreadable(t *testing.T) {
	for name, losses := range map[string][]Loss{
		"out of order":        {{"b", 1}, {"a", 1}},
		"of one twice":        {{"a", 1}, {"a", 2}},
		"without a namespace": {{"", 1}},
		"of a long name":      {{strings.Repeat("a", 64), 1}},
		"that are no text":    {{"a b", 1}},
		"without an instant":  {{"a", 0}},
		"too many":            lossesOf(MaxLosses + 1),
	} {
		if _, read, err := Decode(Encode(nil, losses...)); !errors.Is(err, ErrUnreadable) {
			t.Errorf("losses %s: %v, %v", name, read, err)
		}
	}
	if _, read, err := Decode([]byte{wireVersionLosses, 0, 0, 0}); !errors.Is(err, ErrUnreadable) {
		t.Errorf("no losses in the form that has some: %v, %v", read, err)
	}
}

// A manager of before takes a report with losses for one that it cannot read.
func TestAReportWithLossesIsOfANewerForm(t *testing.T) {
	const withLosses = 3
	form := wire.Form{Version: readerVersion, MinReader: withLosses}
	uses := Encode(nil, Loss{"hostile", 1})
	if _, losses, err := Read(form, uses); err != nil || len(losses) != 1 {
		t.Errorf("this version reads %v, %v", losses, err)
	}
	for before := range withLosses {
		if form.CheckRead(before) == nil {
			t.Errorf("version %d reads it", before)
		}
	}
	if uses[0] == wireVersion {
		t.Error("a manager that the version of the report does not reach reads it")
	}
}

func TestTheEarliestLossesBecomeTheBeginningOfCoverage(t *testing.T) {
	byName := func(losses []Loss) map[string]Minute {
		m := map[string]Minute{}
		for _, loss := range losses {
			m[loss.Namespace] = loss.Until
		}
		return m
	}
	before := MinuteOf(at(-60))
	for name, c := range map[string]struct {
		losses []Loss
		from   Minute
		want   []Loss
		since  Minute
	}{
		"none":                          {nil, before, nil, before},
		"as many as are listed":         {lossesOf(MaxLosses), before, lossesOf(MaxLosses), before},
		"more than are listed":          {lossesOf(MaxLosses + 2), before, lossesOf(MaxLosses + 2)[2:], MinuteOf(at(1))},
		"some that are not covered yet": {lossesOf(10), MinuteOf(at(4)), lossesOf(10)[5:], MinuteOf(at(4))},
	} {
		t.Run(name, func(t *testing.T) {
			got, since := BoundLosses(byName(c.losses), c.from)
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if since != c.since {
				t.Errorf("covered since %s, want %s", since.Time(), c.since.Time())
			}
		})
	}
}

func TestALossCountsAsAUseInItsNamespaceAlone(t *testing.T) {
	now := at(600)
	replica := Replica{
		Name: "a", StartedAt: at(-600), CoveredFrom: at(-600), CoveredUntil: now, Complete: true,
		Losses: []Loss{{"hostile", MinuteOf(at(570))}, {"other", MinuteOf(at(100))}},
	}
	ask := func(namespace string) Answer {
		return Judge([]Replica{replica}, Question{Namespace: namespace, WatchedSince: noon, UnusedFor: time.Hour, Now: now})
	}
	for namespace, want := range map[string]Answer{
		"shop":    {Finding: Unused, Since: noon},
		"other":   {Finding: Unused, Since: at(100)},
		"hostile": {Finding: NotUnusedForLong, Since: at(570), Ask: at(570).Add(time.Hour + clockSkew)},
		"":        {Finding: NotUnusedForLong, Since: at(570), Ask: at(570).Add(time.Hour + clockSkew)},
	} {
		if diff := cmp.Diff(want, ask(namespace)); diff != "" {
			t.Errorf("namespace %q (-want +got):\n%s", namespace, diff)
		}
	}
}
