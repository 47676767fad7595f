// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package usagereport

import (
	"errors"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clocktesting "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/internal/apiclock"
	"github.com/hallpass-dev/hallpass/internal/usage"
)

// unconfirmed is a clock that two responses of the API server a minute apart have not confirmed,
// unless it is agreed.
type unconfirmed struct {
	*clocktesting.FakePassiveClock

	agreed bool
}

func (u *unconfirmed) Time() apiclock.Time {
	return apiclock.Time{Earliest: u.Now(), Latest: u.Now(), Agreed: u.agreed}
}

// A replica that was killed used a secret yesterday. Its report, and what is remembered of it, is
// the only evidence.
func TestOneLookWithAClockThatIsAheadForgetsNoUse(t *testing.T) {
	scheme := runtime.NewScheme()
	if err := errors.Join(corev1.AddToScheme(scheme), v1alpha1.AddToScheme(scheme)); err != nil {
		t.Fatal(err)
	}
	for name, agreed := range map[string]bool{"while the clocks differ": false, "once they agree": true} {
		t.Run(name, func(t *testing.T) {
			clock := &unconfirmed{FakePassiveClock: clocktesting.NewFakePassiveClock(noon), agreed: true}
			report := &v1alpha1.UsageReport{ObjectMeta: metav1.ObjectMeta{Namespace: "hallpass-registry", Name: "pod-1", CreationTimestamp: metav1.NewTime(noon)}}
			report.Spec = v1alpha1.UsageReportSpec{Replica: "pod-1", Part: 1, Parts: 1, State: v1alpha1.UsageServing, Uses: usage.Encode([]usage.Entry{used("u", noon)})}
			cluster := fake.NewClientBuilder().WithScheme(scheme).WithObjects(report).Build()
			r := &Reconciler{Client: cluster, Clock: clock, RegistryNamespace: "hallpass-registry", Ledger: NewLedger(clock, time.Hour)}
			if _, err := r.Reconcile(t.Context(), report); err != nil {
				t.Fatal(err)
			}
			r.Ledger.Evidence(nil) // the report is deleted by hand

			clock.SetTime(noon.Add(400 * 24 * time.Hour))
			clock.agreed = agreed
			again, err := r.Reconcile(t.Context(), report)
			if err != nil {
				t.Fatal(err)
			}
			r.Ledger.merge(nil)
			evidence := r.Ledger.Evidence(nil)
			left := cluster.Get(t.Context(), client.ObjectKeyFromObject(report), &v1alpha1.UsageReport{}) == nil
			remembered := r.Ledger.subjects[usage.KeyOf("u")] != nil
			if left == agreed || remembered == agreed || (len(evidence.Replicas) > 0) == agreed {
				t.Errorf("the report is left: %t; its use is remembered: %t; %d replicas are evidence", left, remembered, len(evidence.Replicas))
			}
			if !agreed && again.RequeueAfter != apiclock.Apart {
				t.Errorf("looked at again after %s", again.RequeueAfter)
			}
		})
	}
}
