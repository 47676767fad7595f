// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package usagereport

import (
	"errors"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clocktesting "k8s.io/utils/clock/testing"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/internal/usage"
)

// TestTheRecordOfReplicas has a form that the next version reads, is written once, and stays as it
// is if a newer version wrote it.
func TestTheRecordOfReplicas(t *testing.T) {
	scheme := runtime.NewScheme()
	if err := errors.Join(corev1.AddToScheme(scheme), v1alpha1.AddToScheme(scheme)); err != nil {
		t.Fatal(err)
	}
	const (
		written = `{"version":1,"replicas":{"pod-1":{"startedAt":"2026-05-01T12:00:00Z","stoppedAt":"2026-05-01T13:00:00Z","maxStalenessSeconds":60}}}`
		newer   = `{"version":2,"minReader":1,"replicas":{"pod-0":{"startedAt":"2026-05-01T11:00:00Z","color":"red"}}}`
		alone   = `{"version":2,"replicas":{"pod-0":{"startedAt":"2026-05-01T11:00:00Z"}}}`
		others  = `{"version":2,"replicas":["pod-0"]}`
		damaged = `{"version":`
	)
	start := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	for name, c := range map[string]struct {
		before, after string
		unknown       bool
	}{
		"there is none":                      {"", written, false},
		"of a newer version":                 {newer, newer, false},
		"that only a newer version can read": {alone, alone, true},
		"of a newer version, of other types": {others, others, true},
		"one that is no record":              {damaged, written, false},
	} {
		t.Run(name, func(t *testing.T) {
			cluster := fake.NewClientBuilder().WithScheme(scheme).Build()
			r := &Reconciler{Client: cluster, RegistryNamespace: "hallpass-registry", Clock: clocktesting.NewFakePassiveClock(start.Add(time.Hour))}
			r.Ledger = NewLedger(r.Clock, time.Hour)
			if c.before != "" {
				stored := &corev1.Secret{
					ObjectMeta: metav1.ObjectMeta{Namespace: r.RegistryNamespace, Name: RecordName}, Type: recordType, Data: map[string][]byte{recordDataKey: []byte(c.before)},
				}
				if err := cluster.Create(t.Context(), stored); err != nil {
					t.Fatal(err)
				}
			}
			report := &v1alpha1.UsageReport{
				ObjectMeta: metav1.ObjectMeta{Namespace: r.RegistryNamespace, Name: "pod-1"},
				Spec: v1alpha1.UsageReportSpec{
					Replica: "pod-1", Part: 1, Parts: 1, State: v1alpha1.UsageStopped, StartedAt: metav1.NewTime(start),
					CoveredUntil: metav1.NewTime(start.Add(time.Hour)), MaxStalenessSeconds: 60, Uses: usage.Encode(nil),
				},
			}
			if err := cluster.Create(t.Context(), report); err != nil {
				t.Fatal(err)
			}
			var versions []string
			for range 2 {
				if _, err := r.Reconcile(t.Context(), report); err != nil {
					t.Fatal(err)
				}
				var stored corev1.Secret
				if err := cluster.Get(t.Context(), r.recordKey(), &stored); err != nil {
					t.Fatal(err)
				}
				if got := string(stored.Data[recordDataKey]); got != c.after {
					t.Errorf("stored is %s\nwant %s", got, c.after)
				}
				versions = append(versions, stored.ResourceVersion)
			}
			if versions[0] != versions[1] {
				t.Errorf("written twice: versions %s", strings.Join(versions, ", "))
			}
			if got := r.Ledger.Evidence(nil).Read; got == c.unknown {
				t.Errorf("all replicas are known: %t", got)
			}
			// A user deletes it, and no report changes.
			if err := cluster.Delete(t.Context(), &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: r.RegistryNamespace, Name: RecordName}}); err != nil {
				t.Fatal(err)
			}
			for range 2 {
				if _, err := r.reconcileNamed(t.Context(), ctrl.Request{NamespacedName: r.recordKey()}); err != nil {
					t.Fatal(err)
				}
			}
			var again corev1.Secret
			if err := cluster.Get(t.Context(), r.recordKey(), &again); err != nil {
				t.Errorf("the record is not written again: %v", err)
			}
			if got := string(again.Data[recordDataKey]); c.after == written && got != c.after {
				t.Errorf("stored again is %s\nwant %s", got, c.after)
			}
			if !r.Ledger.Evidence(nil).Read {
				t.Error("the deletion of the record ends nothing")
			}
			if known := r.Ledger.replicas(); name == "of a newer version" && len(known) != 2 {
				t.Errorf("%d replicas are known", len(known))
			}
		})
	}
}
