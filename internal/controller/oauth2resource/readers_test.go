// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package oauth2resource

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/event"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
)

var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

// reported is part of a report of a replica that reads tokens up to a version.
func reported(replica string, part, tokens int32, change ...func(*v1alpha1.UsageReport)) v1alpha1.UsageReport {
	report := v1alpha1.UsageReport{
		ObjectMeta: metav1.ObjectMeta{Name: replica, CreationTimestamp: metav1.NewTime(noon.Add(-24 * time.Hour))},
		Spec: v1alpha1.UsageReportSpec{
			Replica: replica, Part: part, Parts: 2, State: v1alpha1.UsageServing, CoveredUntil: metav1.NewTime(noon.Add(-10 * time.Minute)), TokenVersion: tokens,
		},
	}
	for _, c := range change {
		c(&report)
	}
	return report
}

func TestExchangedTokensTakeReadersOnly(t *testing.T) {
	stopped := func(r *v1alpha1.UsageReport) { r.Spec.State = v1alpha1.UsageStopped }
	killed := func(r *v1alpha1.UsageReport) { r.Spec.CoveredUntil = metav1.NewTime(noon.Add(-31 * time.Minute)) }
	young := func(r *v1alpha1.UsageReport) {
		r.Spec.CoveredUntil, r.CreationTimestamp = metav1.Time{}, metav1.NewTime(noon)
	}
	for name, c := range map[string]struct {
		reports  []v1alpha1.UsageReport
		outdated []string
		all      bool
	}{
		"no report":                        {nil, nil, false},
		"replicas that read them":          {[]v1alpha1.UsageReport{reported("a", 1, oauth2.TokenVersion), reported("b", 1, oauth2.TokenVersion)}, nil, true},
		"one of a later version":           {[]v1alpha1.UsageReport{reported("a", 1, oauth2.TokenVersion+1)}, nil, true},
		"one that does not":                {[]v1alpha1.UsageReport{reported("b", 1, 0), reported("a", 1, oauth2.TokenVersion)}, []string{"b"}, false},
		"one that has just started":        {[]v1alpha1.UsageReport{reported("b", 1, 0, young), reported("a", 1, oauth2.TokenVersion)}, []string{"b"}, false},
		"one that has stopped":             {[]v1alpha1.UsageReport{reported("b", 1, 0, stopped), reported("a", 1, oauth2.TokenVersion)}, nil, true},
		"one that was killed":              {[]v1alpha1.UsageReport{reported("b", 1, 0, killed), reported("a", 1, oauth2.TokenVersion)}, nil, true},
		"another part of a report":         {[]v1alpha1.UsageReport{reported("a", 1, oauth2.TokenVersion), reported("a", 2, 0)}, nil, true},
		"replicas that stopped alone":      {[]v1alpha1.UsageReport{reported("a", 1, oauth2.TokenVersion, stopped)}, nil, false},
		"a part without the first":         {[]v1alpha1.UsageReport{reported("a", 2, oauth2.TokenVersion)}, nil, false},
		"several that do not, by the name": {[]v1alpha1.UsageReport{reported("c", 1, 1), reported("b", 1, 0)}, []string{"b", "c"}, false},
	} {
		t.Run(name, func(t *testing.T) {
			outdated, all := outdatedReplicas(c.reports, noon)
			if diff := cmp.Diff(c.outdated, outdated); diff != "" || all != c.all {
				t.Errorf("all %t (-want +got):\n%s", all, diff)
			}
		})
	}
}

// A report is written each minute, and hardly ever changes what the replica reads.
func TestAReportWakesResourcesIfItsReaderChanges(t *testing.T) {
	before, second := reported("a", 1, oauth2.TokenVersion), reported("a", 2, 0)
	later := reported("a", 1, oauth2.TokenVersion, func(r *v1alpha1.UsageReport) { r.Spec.CoveredUntil = metav1.NewTime(noon) })
	stopped := reported("a", 1, oauth2.TokenVersion, func(r *v1alpha1.UsageReport) { r.Spec.State = v1alpha1.UsageStopped })
	for name, c := range map[string]struct{ woken, want bool }{
		"a new replica":         {readers.Create(event.CreateEvent{Object: &before}), true},
		"another part":          {readers.Create(event.CreateEvent{Object: &second}), false},
		"more uses":             {readers.Update(event.UpdateEvent{ObjectOld: &before, ObjectNew: &later}), false},
		"the end of a replica":  {readers.Update(event.UpdateEvent{ObjectOld: &before, ObjectNew: &stopped}), true},
		"a report that is gone": {readers.Delete(event.DeleteEvent{Object: &stopped}), true},
	} {
		if c.woken != c.want {
			t.Errorf("%s wakes: %t", name, c.woken)
		}
	}
}
