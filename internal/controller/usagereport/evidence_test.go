// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package usagereport

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"
	testingclock "k8s.io/utils/clock/testing"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

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

// The manager restarts after a user has deleted the report of a replica, and while it was away.
func TestADeletedReportCountsAsUseAfterARestart(t *testing.T) {
	scheme := runtime.NewScheme()
	if err := errors.Join(corev1.AddToScheme(scheme), v1alpha1.AddToScheme(scheme)); err != nil {
		t.Fatal(err)
	}
	start := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	const unusedFor, staleness = time.Hour, 24 * time.Hour
	for name, deletedWhileAway := range map[string]bool{"before it ends": false, "while it is away": true} {
		for _, state := range []v1alpha1.UsageReportState{v1alpha1.UsageServing, v1alpha1.UsageStopped} {
			t.Run(name+", "+string(state), func(t *testing.T) {
				now := testingclock.NewFakePassiveClock(start.Add(2 * time.Hour))
				report := func(name string, state v1alpha1.UsageReportState) *v1alpha1.UsageReport {
					return &v1alpha1.UsageReport{
						ObjectMeta: metav1.ObjectMeta{Namespace: "hallpass-registry", Name: name, UID: types.UID("uid-of-" + name), Generation: 1},
						Spec: v1alpha1.UsageReportSpec{
							Replica: name, Part: 1, Parts: 1, State: state, StartedAt: metav1.NewTime(start), Uses: usage.Encode(nil),
							CoveredUntil: metav1.NewTime(now.Now()), MaxStalenessSeconds: int32(staleness / time.Second),
						},
					}
				}
				a, b := report("a", state), report("b", v1alpha1.UsageServing)
				cluster := fake.NewClientBuilder().WithScheme(scheme).WithObjects(a, b).Build()
				newManager := func() *Reconciler {
					r := &Reconciler{Client: cluster, Clock: now, Ledger: NewLedger(now, time.Minute), RegistryNamespace: "hallpass-registry"}
					r.Ledger.awaitRecord()
					return r
				}
				reconcile := func(r *Reconciler, names ...string) {
					for _, name := range names {
						key := types.NamespacedName{Namespace: "hallpass-registry", Name: name}
						if _, err := r.reconcileNamed(t.Context(), ctrl.Request{NamespacedName: key}); err != nil {
							t.Fatal(err)
						}
					}
				}
				judge := func(r *Reconciler) usage.Answer {
					b.Spec.CoveredUntil = metav1.NewTime(now.Now())
					if err := cluster.Update(t.Context(), b); err != nil {
						t.Fatal(err)
					}
					reconcile(r, "b")
					var reports v1alpha1.UsageReportList
					if err := cluster.List(t.Context(), &reports); err != nil {
						t.Fatal(err)
					}
					evidence := r.Ledger.Evidence(reports.Items)
					if !evidence.Read {
						t.Fatal("not all of the reports was read")
					}
					return usage.Judge(evidence.Replicas, usage.Question{WatchedSince: start, UnusedFor: unusedFor, Now: now.Now()})
				}
				first := newManager()
				if first.Ledger.Evidence(nil).Read {
					t.Error("the reports count as read before the record is")
				}
				reconcile(first, "a", "b")
				if got := judge(first); got.Finding != usage.Unused {
					t.Fatalf("with both reports: %+v", got)
				}
				if err := cluster.Delete(t.Context(), a); err != nil {
					t.Fatal(err)
				}
				if !deletedWhileAway {
					reconcile(first, "a")
				}
				deleted := now.Now()
				now.SetTime(deleted.Add(10 * time.Minute))
				second := newManager()
				reconcile(second, RecordName)
				if got := judge(second); got.Finding == usage.Unused {
					t.Errorf("after a restart the deleted report is forgotten: %+v", got)
				}
				if state == v1alpha1.UsageServing {
					now.SetTime(deleted.Add(2 * time.Hour))
					if got := judge(second); got.Finding != usage.NotReported || got.Replica != "a" {
						t.Errorf("two hours later: %+v, want the replica whose report was deleted", got)
					}
					now.SetTime(deleted.Add(staleness + 30*time.Minute))
					if got := judge(newManager()); got.Finding != usage.NotUnusedForLong {
						t.Errorf("when the replica can use nothing any more: %+v", got)
					}
				}
				now.SetTime(deleted.Add(staleness + 2*time.Hour))
				if got := judge(second); got.Finding != usage.Unused {
					t.Errorf("once nothing was used since: %+v", got)
				}
				now.SetTime(deleted.Add(keepSilent + time.Hour))
				third := newManager()
				reconcile(third, "b")
				reconcile(third, "b")
				if known := third.Ledger.replicas(); len(known) != 1 {
					t.Errorf("%d replicas are remembered after %s", len(known), keepSilent)
				}
			})
		}
	}
}
