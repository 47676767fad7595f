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
			outdated, all := outdatedReplicas(c.reports, oauth2.TokenVersion, noon)
			if diff := cmp.Diff(c.outdated, outdated); diff != "" || all != c.all {
				t.Errorf("all %t (-want +got):\n%s", all, diff)
			}
		})
	}
}

// Exchanged tokens do not wait for token servers that read no tokens of persons.
func TestEachVersionOfTokensIsWaitedForByItself(t *testing.T) {
	reports := []v1alpha1.UsageReport{reported("a", 1, oauth2.VersionWithExchanged), reported("b", 1, oauth2.VersionWithPersons)}
	if outdated, all := outdatedReplicas(reports, oauth2.VersionWithExchanged, noon); !all || outdated != nil {
		t.Errorf("exchanged tokens wait for %v", outdated)
	}
	if outdated, all := outdatedReplicas(reports, oauth2.VersionWithPersons, noon); all || len(outdated) != 1 || outdated[0] != "a" {
		t.Errorf("tokens of persons wait for %v: all read them: %t", outdated, all)
	}
}

// Each subject of a grant is a consent of its own, and both together are a further one.
func TestAGrantConsentsToItsSubjects(t *testing.T) {
	consent := oauth2.Consent{Namespaces: []string{"shop"}, Scopes: []string{"read"}}
	for name, c := range map[string]struct {
		subjects []v1alpha1.GrantSubject
		want     [4]int
	}{
		"left out":                    {nil, [4]int{1, 0, 0, 0}},
		"persons":                     {[]v1alpha1.GrantSubject{v1alpha1.SubjectUser}, [4]int{0, 1, 0, 0}},
		"exchanged tokens":            {[]v1alpha1.GrantSubject{v1alpha1.SubjectExchanged}, [4]int{0, 0, 1, 0}},
		"the client and persons":      {[]v1alpha1.GrantSubject{v1alpha1.SubjectClient, v1alpha1.SubjectUser}, [4]int{1, 1, 0, 0}},
		"persons by exchanged tokens": {[]v1alpha1.GrantSubject{v1alpha1.SubjectUser, v1alpha1.SubjectExchanged}, [4]int{0, 1, 1, 1}},
	} {
		s := &state{}
		s.add(v1alpha1.ResourceGrant{Subjects: c.subjects}, consent)
		if got := [4]int{len(s.resource.Consents), len(s.resource.Users), len(s.resource.Exchanged), len(s.resource.ExchangedUsers)}; got != c.want {
			t.Errorf("%s: %v", name, got)
		}
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
