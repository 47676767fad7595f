// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package usagereport

import (
	"maps"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/internal/usage"
)

// taken is a report that was read.
type taken struct {
	uid        types.UID
	generation int64
	// whole says that everything in it was understood and remembered.
	whole bool
}

// take notes that a report was read.
func (l *Ledger) take(report *v1alpha1.UsageReport, whole bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.taken[report.Name] = taken{report.UID, report.Generation, whole}
}

func (l *Ledger) forget(report *v1alpha1.UsageReport) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.taken, report.Name)
}

// Evidence is what the reports prove.
type Evidence struct {
	// Replicas are those that report, in the order of their names.
	Replicas []usage.Replica
	// Read says that each report was looked at. Until then nothing is known, not even what cannot be.
	Read bool
}

// Evidence puts the parts of all reports together. A part that is missing, or that could not be read
// whole, makes the report of its replica incomplete.
func (l *Ledger) Evidence(reports []v1alpha1.UsageReport) Evidence {
	l.mu.Lock()
	defer l.mu.Unlock()
	evidence := Evidence{Read: true}
	found, missing := map[string]*usage.Replica{}, map[string]int{}
	for i := range reports {
		report := &reports[i]
		name := report.Spec.Replica
		if found[name] == nil {
			found[name] = &usage.Replica{Name: name}
		}
		was := l.taken[report.Name]
		switch {
		case was.uid != report.UID || was.generation != report.Generation:
			evidence.Read = false
		case was.whole:
			missing[name]--
		}
		if report.Name == name {
			missing[name] += int(report.Spec.Parts)
			*found[name] = usage.Replica{
				Name: name, StartedAt: report.Spec.StartedAt.Time, CoveredFrom: report.Spec.CoveredFrom.Time, CoveredUntil: report.Spec.CoveredUntil.Time,
				Stopped: report.Spec.State == v1alpha1.UsageStopped, MaxStaleness: time.Duration(report.Spec.MaxStalenessSeconds) * time.Second,
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(found)) {
		replica := *found[name]
		replica.Complete = missing[name] == 0
		evidence.Replicas = append(evidence.Replicas, replica)
	}
	return evidence
}

// LastUsed is when any report says that a secret of an object was last used; zero if none does.
func (l *Ledger) LastUsed(uid, credentialID string) usage.Minute {
	l.mu.Lock()
	defer l.mu.Unlock()
	if s := l.subjects[usage.KeyOf(uid)]; s != nil {
		return s.merged.AtMost(credentialID)
	}
	return 0
}
