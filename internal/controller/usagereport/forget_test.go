// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package usagereport

import (
	"fmt"
	"testing"
	"time"

	clocktesting "k8s.io/utils/clock/testing"

	"github.com/hallpass-dev/hallpass/internal/usage"
)

func used(uid string, at time.Time) usage.Entry {
	return usage.Entry{Key: usage.KeyOf(uid), Seen: usage.Seen{Issued: usage.MinuteOf(at)}}
}

// Each day other clients are created, used and deleted. A table that forgets none is full after 12
// days.
func TestSubjectsAreForgottenAfterTheirLastUse(t *testing.T) {
	const daily = 100
	now := clocktesting.NewFakePassiveClock(noon)
	l := NewLedger(now, time.Hour)
	l.most = 12*daily + 1
	for day := range 100 {
		entries := []usage.Entry{used("always", now.Now())}
		for i := range daily {
			entries = append(entries, used(fmt.Sprint(day, " ", i), now.Now()))
		}
		if refused := l.merge(entries); refused > 0 {
			t.Fatalf("day %d: %d are refused", day, refused)
		}
		drain(l)
		now.SetTime(now.Now().Add(24 * time.Hour))
	}
	if l.subjects[usage.KeyOf("always")] == nil {
		t.Error("one in constant use was forgotten")
	}
	l.merge([]usage.Entry{used("old", now.Now().Add(-keepUses-time.Hour))})
	if l.subjects[usage.KeyOf("old")] != nil {
		t.Error("what the report of a silent replica says of long ago is remembered again")
	}
}

func TestAForgottenSubjectDoesNotWait(t *testing.T) {
	now := clocktesting.NewFakePassiveClock(noon)
	l := NewLedger(now, time.Hour)
	l.merge([]usage.Entry{used("a", noon), used("b", noon.Add(-time.Hour))})
	now.SetTime(noon.Add(keepUses))
	l.merge(nil)
	if reported := drain(l); len(reported) != 1 || len(l.subjects) != 1 || l.queue.Len() != 0 {
		t.Errorf("%d are reported, %d remembered, %d wait", len(reported), len(l.subjects), l.queue.Len())
	}
}

func TestSubjectsThatAreNoObjectsMakeWay(t *testing.T) {
	now := clocktesting.NewFakePassiveClock(noon)
	l := NewLedger(now, time.Hour)
	l.most = 4
	gone := map[usage.Key]bool{}
	l.watchNamespaces(func(key usage.Key) string {
		if gone[key] {
			return ""
		}
		return "shop"
	})
	l.merge([]usage.Entry{used("a", noon), used("b", noon), used("gone", noon), used("made up", noon)})
	if refused := l.merge([]usage.Entry{used("c", noon)}); refused != 1 {
		t.Errorf("%d are refused although all may exist", refused)
	}
	gone[usage.KeyOf("gone")], gone[usage.KeyOf("made up")] = true, true
	l.Absent("gone")
	l.Absent("of which nothing is known")
	l.exists(usage.KeyOf("made up"), false)
	l.exists(usage.KeyOf("a"), true)
	if refused := l.merge([]usage.Entry{used("c", noon), used("d", noon), used("e", noon)}); refused != 1 {
		t.Errorf("%d are refused, want one", refused)
	}
	for uid, want := range map[string]bool{"a": true, "b": true, "c": true, "d": true, "gone": false, "made up": false, "e": false} {
		if l.subjects[usage.KeyOf(uid)] != nil != want {
			t.Errorf("%s is remembered: %v", uid, !want)
		}
	}
	if l.queue.Len() != 4 || len(l.absent) != 0 {
		t.Errorf("%d wait, %d are absent", l.queue.Len(), len(l.absent))
	}
	l.exists(usage.KeyOf("b"), false)
	l.exists(usage.KeyOf("b"), true) // the cache was behind
	if refused := l.merge([]usage.Entry{used("e", noon)}); refused != 1 {
		t.Error("one that exists makes way")
	}
}
