// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package usagereport

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"
	testingclock "k8s.io/utils/clock/testing"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/internal/usage"
)

func TestAReportIsEvidenceOnceAllOfItWasRead(t *testing.T) {
	start := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	report := func(replica, name string, parts int32) v1alpha1.UsageReport {
		return v1alpha1.UsageReport{
			ObjectMeta: metav1.ObjectMeta{Name: name, UID: types.UID("uid-of-" + name), Generation: 3},
			Spec: v1alpha1.UsageReportSpec{
				Replica: replica, Parts: parts, State: v1alpha1.UsageStopped, StartedAt: metav1.NewTime(start),
				CoveredUntil: metav1.NewTime(start.Add(time.Hour)), MaxStalenessSeconds: 3600,
			},
		}
	}
	whole := usage.Replica{
		Name: "a", StartedAt: start, CoveredUntil: start.Add(time.Hour), Stopped: true, MaxStaleness: time.Hour, Complete: true,
	}
	incomplete := whole
	incomplete.Complete = false
	first, second := report("a", "a", 2), report("a", "a-2", 2)
	written, again := first, first
	written.Generation, again.UID = 4, "another"
	for name, row := range map[string]struct {
		reports []v1alpha1.UsageReport
		take    func(l *Ledger)
		want    Evidence
	}{
		"there is none": {nil, func(*Ledger) {}, Evidence{Read: true}},
		"nothing was read yet": {
			[]v1alpha1.UsageReport{first, second}, func(*Ledger) {}, Evidence{Replicas: []usage.Replica{incomplete}},
		},
		"one part was read": {
			[]v1alpha1.UsageReport{first, second}, func(l *Ledger) { l.take(&first, nil, true) }, Evidence{Replicas: []usage.Replica{incomplete}},
		},
		"all parts were read": {
			[]v1alpha1.UsageReport{first, second}, func(l *Ledger) { l.take(&first, nil, true); l.take(&second, nil, true) },
			Evidence{Replicas: []usage.Replica{whole}, Read: true},
		},
		"a part cannot be read": {
			[]v1alpha1.UsageReport{first, second}, func(l *Ledger) { l.take(&first, nil, true); l.take(&second, nil, false) },
			Evidence{Replicas: []usage.Replica{incomplete}, Read: true},
		},
		"a part is missing": {
			[]v1alpha1.UsageReport{first}, func(l *Ledger) { l.take(&first, nil, true) }, Evidence{Replicas: []usage.Replica{incomplete}, Read: true},
		},
		"the first part is missing": {
			[]v1alpha1.UsageReport{second}, func(l *Ledger) { l.take(&second, nil, true) }, Evidence{Replicas: []usage.Replica{{Name: "a"}}, Read: true},
		},
		"it was written since": {
			[]v1alpha1.UsageReport{written, second}, func(l *Ledger) { l.take(&first, nil, true); l.take(&second, nil, true) },
			Evidence{Replicas: []usage.Replica{incomplete}},
		},
		"it was deleted and made again": {
			[]v1alpha1.UsageReport{again, second}, func(l *Ledger) { l.take(&first, nil, true); l.take(&second, nil, true) },
			Evidence{Replicas: []usage.Replica{incomplete}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			l := NewLedger(clock.RealClock{}, time.Minute)
			row.take(l)
			if diff := cmp.Diff(row.want, l.Evidence(row.reports)); diff != "" {
				t.Errorf("evidence (-want +got):\n%s", diff)
			}
		})
	}
}

// A report that a user deletes proves nothing any more, and its replica may use what it used.
func TestADeletedReportCountsAsUse(t *testing.T) {
	start := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	now := testingclock.NewFakePassiveClock(start.Add(2 * time.Hour))
	report := func(name string) v1alpha1.UsageReport {
		return v1alpha1.UsageReport{
			ObjectMeta: metav1.ObjectMeta{Name: name, UID: types.UID("uid-of-" + name), Generation: 1},
			Spec: v1alpha1.UsageReportSpec{
				Replica: name, Parts: 1, State: v1alpha1.UsageServing, StartedAt: metav1.NewTime(start),
				CoveredUntil: metav1.NewTime(now.Now()), MaxStalenessSeconds: 24 * 3600,
			},
		}
	}
	question := func() usage.Question {
		return usage.Question{WatchedSince: start, UnusedFor: time.Hour, Now: now.Now()}
	}
	a, b := report("a"), report("b")
	l := NewLedger(now, time.Minute)
	l.take(&a, nil, true)
	l.take(&b, nil, true)
	if got := usage.Judge(l.Evidence([]v1alpha1.UsageReport{a, b}).Replicas, question()); got.Finding != usage.Unused {
		t.Fatalf("with both reports: %+v", got)
	}
	judge := func(after time.Duration, reports ...v1alpha1.UsageReport) usage.Answer {
		now.SetTime(start.Add(2*time.Hour + after))
		for i := range reports {
			reports[i].Generation++
			reports[i].Spec.CoveredUntil = metav1.NewTime(now.Now())
			l.take(&reports[i], nil, true)
		}
		evidence := l.Evidence(reports)
		if !evidence.Read {
			t.Errorf("after %s: not read", after)
		}
		return usage.Judge(evidence.Replicas, question())
	}
	if got := judge(time.Hour, b); got.Finding != usage.NotReported || got.Replica != "a" {
		t.Errorf("an hour after a report was deleted: %+v", got)
	}
	if got := judge(25*time.Hour, b); got.Finding != usage.NotUnusedForLong {
		t.Errorf("when its replica can use nothing any more: %+v, want a use until then", got)
	}
	if got := judge(27*time.Hour, b); got.Finding != usage.Unused {
		t.Errorf("once nothing was used since: %+v", got)
	}
	if got := judge(11*24*time.Hour, b); got.Finding != usage.Unused || len(l.taken) != 1 {
		t.Errorf("after %d days: %+v, %d reports are remembered", 11, got, len(l.taken))
	}
	l.forget(&b)
	if evidence := l.Evidence(nil); len(evidence.Replicas) != 0 {
		t.Errorf("a report that the manager deleted is still evidence: %+v", evidence)
	}
}
