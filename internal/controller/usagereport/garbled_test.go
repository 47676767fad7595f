// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package usagereport

import (
	"bytes"
	"errors"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clocktesting "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/internal/usage"
)

// The process that writes a report answers unauthenticated callers. A report that cannot be read
// whole proves nothing, also of those clients that stand before the damage, and is no failure that
// would be tried again and again.
func TestAReportThatIsGarbledTellsNothing(t *testing.T) {
	whole := usage.Encode(append(entry("6f1d3c1e-0c1b-4a57-9d0a-0a1b2c3d4e5f", 0), entry("7f1d3c1e-0c1b-4a57-9d0a-0a1b2c3d4e5f", 0)...))
	newer := bytes.Clone(whole)
	newer[0]++
	many := bytes.Repeat([]byte{0xff}, usage.MaxReport+1)
	scheme := runtime.NewScheme()
	if err := errors.Join(corev1.AddToScheme(scheme), v1alpha1.AddToScheme(scheme)); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		uses []byte
		told int
		form v1alpha1.RecordForm
	}{
		"as it was written":                    {whole, 2, v1alpha1.RecordForm{}},
		"cut off behind a client":              {whole[:len(whole)-2], 0, v1alpha1.RecordForm{}},
		"with something behind the end":        {append(bytes.Clone(whole), 1), 0, v1alpha1.RecordForm{}},
		"of a version to come":                 {newer, 0, v1alpha1.RecordForm{}},
		"of a newer version, for this one too": {whole, 2, v1alpha1.RecordForm{Version: 2, MinReader: 1}},
		"of a newer version, for those alone":  {whole, 0, v1alpha1.RecordForm{Version: 5, MinReader: 5}},
		"with losses": {
			usage.Encode(entry("6f1d3c1e-0c1b-4a57-9d0a-0a1b2c3d4e5f", 0), usage.Loss{Namespace: "hostile", Until: minute(0)}), 1,
			v1alpha1.RecordForm{Version: v1alpha1.UsageReportWithLosses, MinReader: v1alpha1.UsageReportWithLosses},
		},
		"that is text":            {[]byte("not a report at all"), 0, v1alpha1.RecordForm{}},
		"that is empty":           {nil, 0, v1alpha1.RecordForm{}},
		"that is longer than any": {many, 0, v1alpha1.RecordForm{}},
	} {
		t.Run(name, func(t *testing.T) {
			now := clocktesting.NewFakePassiveClock(noon)
			report := &v1alpha1.UsageReport{ObjectMeta: metav1.ObjectMeta{
				Namespace: "hallpass-registry", Name: "pod-1", CreationTimestamp: metav1.NewTime(noon),
			}}
			report.Spec = v1alpha1.UsageReportSpec{Replica: "pod-1", Part: 1, Parts: 1, State: v1alpha1.UsageServing, Uses: c.uses, RecordForm: c.form}
			r := &Reconciler{Client: fake.NewClientBuilder().WithScheme(scheme).Build(), Clock: now, RegistryNamespace: "hallpass-registry", Ledger: NewLedger(now, time.Hour)}
			again, err := r.Reconcile(t.Context(), report)
			if err != nil || again.RequeueAfter <= 0 {
				t.Errorf("looked at again in %s, and %v; want to remove it in days", again.RequeueAfter, err)
			}
			if told := drain(r.Ledger); len(told) != c.told {
				t.Errorf("it tells of %d clients, want %d", len(told), c.told)
			}
		})
	}
}
