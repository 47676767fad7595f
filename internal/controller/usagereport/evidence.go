// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package usagereport

import (
	"maps"
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/internal/apiclock"
	"github.com/hallpass-dev/hallpass/internal/usage"
)

// taken is a report that was read.
type taken struct {
	report v1alpha1.UsageReport // without the uses
	// losses are the namespaces of which it lacks uses.
	losses []usage.Loss
	// whole is whether everything in it was understood and remembered.
	whole bool
	// missing is when it was found to be deleted; zero if it is there.
	missing time.Time
	// restored means that it is on record, and was not read here.
	restored bool
}

// take notes that a report was read.
func (l *Ledger) take(report *v1alpha1.UsageReport, losses []usage.Loss, whole bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	kept := v1alpha1.UsageReport{
		ObjectMeta: metav1.ObjectMeta{Name: report.Name, UID: report.UID, Generation: report.Generation}, Spec: report.Spec,
	}
	kept.Spec.Uses, kept.Spec.Refusals = nil, nil
	l.taken[report.Name] = &taken{report: kept, losses: losses, whole: whole}
}

// forget drops a report that the manager deletes because it contains nothing new any more.
func (l *Ledger) forget(report *v1alpha1.UsageReport) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.taken, report.Name)
}

// Evidence is what the reports prove.
type Evidence struct {
	// Replicas are those that report, in the order of their names.
	Replicas []usage.Replica
	// Read is whether each report was read. Until then nothing is known, not even what
	// cannot be.
	Read bool
}

// Evidence puts the parts of all reports together. A part that is missing, or that could not be
// read whole, makes the report of its replica incomplete. A report that a user has deleted keeps
// its last content: its replica is silent, and may use what it used.
func (l *Ledger) Evidence(reports []v1alpha1.UsageReport) Evidence {
	l.mu.Lock()
	defer l.mu.Unlock()
	evidence := Evidence{Read: !l.unrestored}
	found, missing := map[string]*usage.Replica{}, map[string]int{}
	reports = append(slices.Clip(reports), l.deleted(reports)...)
	for i := range reports {
		report := &reports[i]
		name := report.Spec.Replica
		if found[name] == nil {
			found[name] = &usage.Replica{Name: name}
		}
		was := l.taken[report.Name]
		switch {
		case was == nil || was.report.UID != report.UID || was.report.Generation != report.Generation:
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
			if was != nil {
				found[name].Losses = was.losses
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

// findDeleted notes which reports were deleted.
func (l *Ledger) findDeleted(reports []v1alpha1.UsageReport) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.deleted(reports)
}

// deleted returns the reports that were read and are not there any more, for as long as they could
// be evidence.
func (l *Ledger) deleted(reports []v1alpha1.UsageReport) []v1alpha1.UsageReport {
	there := make(map[string]bool, len(reports))
	for i := range reports {
		there[reports[i].Name] = true
	}
	now := apiclock.TimeOf(l.Clock)
	var deleted []v1alpha1.UsageReport
	for name, was := range l.taken {
		switch {
		case there[name]:
			was.missing = time.Time{}
		case was.missing.IsZero():
			was.missing = now.Latest
			was.noteMissing()
			deleted = append(deleted, was.report)
		case now.Past().Before(was.missing.Add(kept(&was.report))):
			deleted = append(deleted, was.report)
		default:
			delete(l.taken, name)
		}
	}
	return deleted
}

// LastUsed is when a secret of an object was last used by any report; zero if none does.
func (l *Ledger) LastUsed(uid, credentialID string) usage.Minute {
	l.mu.Lock()
	defer l.mu.Unlock()
	if s := l.subjects[usage.KeyOf(uid)]; s != nil {
		return s.merged.AtMost(credentialID)
	}
	return 0
}
