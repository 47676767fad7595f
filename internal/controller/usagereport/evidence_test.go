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
			[]v1alpha1.UsageReport{first, second}, func(l *Ledger) { l.take(&first, true) }, Evidence{Replicas: []usage.Replica{incomplete}},
		},
		"all parts were read": {
			[]v1alpha1.UsageReport{first, second}, func(l *Ledger) { l.take(&first, true); l.take(&second, true) },
			Evidence{Replicas: []usage.Replica{whole}, Read: true},
		},
		"a part cannot be read": {
			[]v1alpha1.UsageReport{first, second}, func(l *Ledger) { l.take(&first, true); l.take(&second, false) },
			Evidence{Replicas: []usage.Replica{incomplete}, Read: true},
		},
		"a part is missing": {
			[]v1alpha1.UsageReport{first}, func(l *Ledger) { l.take(&first, true) }, Evidence{Replicas: []usage.Replica{incomplete}, Read: true},
		},
		"the first part is missing": {
			[]v1alpha1.UsageReport{second}, func(l *Ledger) { l.take(&second, true) }, Evidence{Replicas: []usage.Replica{{Name: "a"}}, Read: true},
		},
		"it was written since": {
			[]v1alpha1.UsageReport{written, second}, func(l *Ledger) { l.take(&first, true); l.take(&second, true) },
			Evidence{Replicas: []usage.Replica{incomplete}},
		},
		"it was deleted and made again": {
			[]v1alpha1.UsageReport{again, second}, func(l *Ledger) { l.take(&first, true); l.take(&second, true) },
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
