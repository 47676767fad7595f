// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package usagereport

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/predicate"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/internal/controller/publish"
	"github.com/hallpass-dev/hallpass/internal/wire"
)

// A report that a user deletes must count as use also after a restart of the manager. So the
// replicas that report are on record in a Secret of the registry, which token servers drop: they
// store Secrets of other types only. It is written when a replica starts or stops, and when its
// report goes.
const (
	// RecordName is the name of that Secret.
	RecordName = "usage-replicas"

	recordType    = "hallpass.dev/usage-replicas"
	recordDataKey = "replicas.json"
	recordVersion = 1
)

// record is what is stored.
type record struct {
	wire.Form

	Replicas map[string]recorded `json:"replicas"`
}

// recorded is a replica on record.
type recorded struct {
	StartedAt time.Time `json:"startedAt"`
	// StoppedAt is the end of the coverage of one that stopped.
	StoppedAt           time.Time `json:"stoppedAt,omitzero"`
	MaxStalenessSeconds int64     `json:"maxStalenessSeconds,omitzero"`
	// MissingSince is when its report was found to be deleted.
	MissingSince time.Time `json:"missingSince,omitzero"`
}

// recordOf is what is recorded of the replica of a report.
func recordOf(report *v1alpha1.UsageReport, missing time.Time) recorded {
	r := recorded{StartedAt: report.Spec.StartedAt.UTC(), MaxStalenessSeconds: int64(report.Spec.MaxStalenessSeconds)}
	if report.Spec.State == v1alpha1.UsageStopped {
		r.StoppedAt = report.Spec.CoveredUntil.UTC()
	}
	if !missing.IsZero() {
		r.MissingSince = missing.UTC().Truncate(time.Second)
	}
	return r
}

// report is what is left of the report of a replica on record: its uses are lost.
func (r recorded) report(name string) v1alpha1.UsageReport {
	report := v1alpha1.UsageReport{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: v1alpha1.UsageReportSpec{
		Replica: name, Part: 1, Parts: 1, State: v1alpha1.UsageServing, StartedAt: metav1.NewTime(r.StartedAt),
		MaxStalenessSeconds: int32(r.MaxStalenessSeconds), //nolint:gosec // it was one
	}}
	if !r.StoppedAt.IsZero() {
		report.Spec.State = v1alpha1.UsageStopped
		coverFrom(&report, r.StoppedAt)
	}
	return report
}

// coverFrom has a report without uses begin at an instant: what was used before is not known, which
// counts as a use.
func coverFrom(report *v1alpha1.UsageReport, at time.Time) {
	report.Spec.CoveredFrom, report.Spec.CoveredUntil = metav1.NewTime(at), metav1.NewTime(at)
}

// replicas are the replicas whose reports were read, as they are recorded.
func (l *Ledger) replicas() map[string]recorded {
	l.mu.Lock()
	defer l.mu.Unlock()
	replicas := map[string]recorded{}
	for name, t := range l.taken {
		if name == t.report.Spec.Replica {
			replicas[name] = recordOf(&t.report, t.missing)
		}
	}
	return replicas
}

// restore takes in the replicas on record whose reports were not read here.
func (l *Ledger) restore(replicas map[string]recorded) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.unrestored = false
	for name, r := range replicas {
		if l.taken[name] != nil {
			continue
		}
		restored := &taken{report: r.report(name), whole: true, restored: true, missing: r.MissingSince}
		l.taken[name] = restored
		restored.noteMissing()
	}
}

// noteMissing has the uses of a replica count as unknown until its report was found to be deleted,
// if no report of it was read here. Until then the replica may have used anything.
func (t *taken) noteMissing() {
	if t.restored && !t.missing.IsZero() && t.report.Spec.State != v1alpha1.UsageStopped {
		coverFrom(&t.report, t.missing)
	}
}

// load takes in the replicas on record, once.
func (r *Reconciler) load(ctx context.Context) error {
	if r.loaded {
		return nil
	}
	stored, err := publish.Read(ctx, r.Client, r.recordKey())
	if err != nil {
		return err
	}
	var known record
	if stored != nil {
		err = json.Unmarshal(stored.Data[recordDataKey], &known)
	}
	switch failure := cmp.Or(known.CheckRead(recordVersion), err); {
	case stored == nil:
		r.Ledger.restore(nil)
	case errors.Is(failure, wire.ErrNewer):
		ctrl.LoggerFrom(ctx).Info("a newer version wrote which replicas report their use: no secret ends early as unused until a manager of that version runs",
			"secret", RecordName, "reason", failure.Error())
		r.Ledger.awaitRecord()
	case failure != nil:
		ctrl.LoggerFrom(ctx).Error(failure,
			"cannot read which replicas report their use; a report that was deleted before this start does not count as use", "secret", RecordName)
		r.Ledger.restore(nil)
	default:
		r.Ledger.restore(known.Replicas)
	}
	r.record, r.loaded, r.isNewer = stored, true, known.CheckWrite(recordVersion) != nil
	return nil
}

func (r *Reconciler) recordKey() types.NamespacedName {
	return types.NamespacedName{Namespace: r.RegistryNamespace, Name: RecordName}
}

// recordDeletions lets through that the record is deleted.
func (r *Reconciler) recordDeletions() predicate.Funcs {
	never := predicate.NewPredicateFuncs(func(client.Object) bool { return false })
	never.DeleteFunc = func(e event.DeleteEvent) bool { return client.ObjectKeyFromObject(e.Object) == r.recordKey() }
	return never
}

// restoreRecord has a record that was deleted written again, also if a newer version wrote it.
func (r *Reconciler) restoreRecord(ctx context.Context) error {
	stored, err := publish.Read(ctx, r.Client, r.recordKey())
	if err == nil && stored == nil && r.loaded {
		r.record, r.isNewer = nil, false
		r.Ledger.restore(nil) // also if only a newer version could read it
	}
	return err
}

// remember records the replicas that report, before the report of one more is evidence; nil for
// none. It finds the reports that were deleted.
func (r *Reconciler) remember(ctx context.Context, report *v1alpha1.UsageReport) error {
	if err := r.load(ctx); err != nil {
		return err
	}
	var reports v1alpha1.UsageReportList
	if err := r.Client.List(ctx, &reports, client.InNamespace(r.RegistryNamespace), client.UnsafeDisableDeepCopy); err != nil {
		return fmt.Errorf("list the usage reports: %w", err)
	}
	r.Ledger.findDeleted(reports.Items)
	known := record{Form: wire.Form{Version: recordVersion}, Replicas: r.Ledger.replicas()}
	if report != nil && report.Name == report.Spec.Replica {
		known.Replicas[report.Name] = recordOf(report, time.Time{})
	}
	if r.isNewer || r.record == nil && len(known.Replicas) == 0 {
		return nil
	}
	data, err := json.Marshal(known)
	if err != nil {
		return fmt.Errorf("render which replicas report their use: %w", err)
	}
	written, err := publish.Write(ctx, r.Client, r.record, publish.Record{
		NamespacedName: r.recordKey(), Of: "the replicas that report their use", Type: recordType, Data: map[string][]byte{recordDataKey: data},
	})
	if err != nil {
		r.record = r.reread(ctx)
		return err
	}
	r.record = written
	return nil
}

// reread reads the record again after a write of it failed; nil if there is none.
func (r *Reconciler) reread(ctx context.Context) *corev1.Secret {
	stored, err := publish.Read(ctx, r.Client, r.recordKey())
	if err != nil {
		ctrl.LoggerFrom(ctx).Error(err, "cannot read which replicas report their use")
		return r.record
	}
	return stored
}
