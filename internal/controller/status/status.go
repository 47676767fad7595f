// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

// Package status sets conditions in the vocabulary of kstatus, and writes a status once although
// the cache may be behind the last write.
package status

import (
	"cmp"
	"context"
	"fmt"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/resourceversion"
	"k8s.io/client-go/tools/events"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
)

// patience is how long an object with a new spec is Reconciling, because of what is expected to
// end, before it is Stalled.
const patience = 5 * time.Minute

// Look is a read of an object: at which generation of it, which was created then, and when.
type Look struct {
	Generation   int64
	Created, Now time.Time
}

// LookAt is a read of an object now.
func LookAt(o client.Object, now time.Time) Look {
	return Look{o.GetGeneration(), o.GetCreationTimestamp().Time, now}
}

// Verdict is what a reconcile has found an object to be.
type Verdict struct {
	// Ready is the condition of an object that nothing keeps from being ready.
	Ready metav1.Condition
	// Obstacle keeps it from being ready. Trouble does not, and keeps another part of its spec
	// from taking effect. They are nil if there is none.
	Obstacle, Trouble *metav1.Condition
	// Passing is whether the obstacle, or the trouble, is expected to end without a change of
	// the spec.
	Passing bool
}

// SetConditions sets Ready and its companions: Reconciling for what passes, for five minutes of a
// generation; Stalled for what does not, or has not in that time. It returns when Reconciling
// becomes Stalled; zero for never.
func SetConditions(conditions *[]metav1.Condition, look Look, v Verdict) time.Time {
	var reconciling, stalled *metav1.Condition
	var until time.Time
	ready, because := v.Ready, cmp.Or(v.Obstacle, v.Trouble)
	if v.Obstacle != nil {
		ready = *v.Obstacle
	}
	if because != nil {
		// that one ends at a known instant
		if v.Passing && because.Reason != v1alpha1.ReasonSigningAlgorithmNotReady {
			until = look.began(*conditions).Add(patience)
		}
		if v.Passing && (until.IsZero() || until.After(look.Now)) {
			reconciling = new(v1alpha1.Reconciling(*because))
		} else {
			stalled, until = new(v1alpha1.Stalled(*because)), time.Time{}
		}
	}
	if was := meta.FindStatusCondition(*conditions, v1alpha1.ConditionReconciling); was != nil && was.ObservedGeneration != look.Generation {
		// its transition is that of this generation; see began
		meta.RemoveStatusCondition(conditions, v1alpha1.ConditionReconciling)
	}
	for kind, wanted := range map[string]*metav1.Condition{
		v1alpha1.ConditionReady: &ready, v1alpha1.ConditionReconciling: reconciling, v1alpha1.ConditionStalled: stalled,
	} {
		if wanted != nil {
			wanted.LastTransitionTime = metav1.NewTime(look.Now)
		}
		Set(conditions, look.Generation, kind, wanted)
	}
	return until
}

// began is when the generation was seen first, by the conditions that were reported then. Of a
// generation that was brought about, and of one that was Stalled before, it is long ago.
func (l Look) began(conditions []metav1.Condition) time.Time {
	reported := meta.FindStatusCondition(conditions, v1alpha1.ConditionReady)
	reconciling := meta.FindStatusCondition(conditions, v1alpha1.ConditionReconciling)
	switch {
	case l.Generation <= 1:
		return l.Created
	case reported == nil || reported.ObservedGeneration != l.Generation:
		return l.Now
	case reconciling != nil && reconciling.ObservedGeneration == l.Generation:
		return reconciling.LastTransitionTime.Time
	}
	return time.Time{}
}

// Set sets a condition, or removes the one of that kind if wanted is nil.
func Set(conditions *[]metav1.Condition, generation int64, kind string, wanted *metav1.Condition) {
	if wanted == nil {
		meta.RemoveStatusCondition(conditions, kind)
		return
	}
	wanted.ObservedGeneration = generation
	meta.SetStatusCondition(conditions, *wanted)
}

// Written remembers status writes that the cache has not seen yet. Its zero value is ready to use.
type Written struct {
	versions sync.Map // resourceVersions by UID
}

// Note notes what a write of an object's status has returned.
func (w *Written) Note(o client.Object) { w.versions.Store(o.GetUID(), o.GetResourceVersion()) }

// Forget drops what is known of an object that is gone.
func (w *Written) Forget(o client.Object) { w.versions.Delete(o.GetUID()) }

// Behind reports whether the cache has an object without the status that was just written to it.
// The watch brings the newer one, and wakes the reconciler again.
func (w *Written) Behind(o client.Object) bool {
	written, there := w.versions.Load(o.GetUID())
	version, ok := written.(string)
	if !there || !ok {
		return false
	}
	if order, err := resourceversion.CompareResourceVersion(o.GetResourceVersion(), version); err == nil && order < 0 {
		return true
	}
	w.versions.Delete(o.GetUID())
	return false
}

// Failure is the verdict after an attempt at an object failed: what is on record is in force if the
// object holds its record, or was ready before. It returns false if there is nothing to report.
func Failure(conditions []metav1.Condition, holds bool, ready metav1.Condition, trouble *metav1.Condition) (v Verdict, ok bool) {
	v = Verdict{Ready: ready, Trouble: trouble, Passing: true}
	if !holds && !meta.IsStatusConditionTrue(conditions, v1alpha1.ConditionReady) {
		v.Obstacle = trouble
	}
	return v, trouble != nil
}

// Reporter writes statuses and what is new in them.
type Reporter struct {
	Client   client.Client
	Recorder events.EventRecorder
	Contest  *Contest
	Now      time.Time
}

// Report writes the status of an object as Write does, and then announces what is new of the
// conditions, which are those of a status.
func Report[S any](ctx context.Context, r Reporter, o client.Object, current *S, wanted S, conditions func(S) []metav1.Condition) error {
	before := conditions(*current)
	written, err := Write(ctx, r, o, current, wanted)
	if written {
		Announce(r.Recorder, o, before, conditions(wanted))
	}
	return err
}

// Write writes the status of an object as Patch does, unless something else writes it each time.
func Write[S any](ctx context.Context, r Reporter, o client.Object, current *S, wanted S) (bool, error) {
	if equality.Semantic.DeepEqual(*current, wanted) {
		return false, nil
	}
	altered, err := r.Contest.check(r.Recorder, o, *current, r.Now)
	if err != nil {
		return false, err
	}
	written, err := Patch(ctx, r.Client, o, current, wanted)
	if written {
		r.Contest.wrote(o, *current, altered, r.Now)
	}
	return written, err
}

// Patch writes the status of an object if wanted differs from current, which points into the
// object. It reports whether it did.
func Patch[S any](ctx context.Context, c client.Client, o client.Object, current *S, wanted S) (bool, error) {
	if equality.Semantic.DeepEqual(*current, wanted) {
		return false, nil
	}
	from := client.MergeFrom(o.DeepCopyObject().(client.Object)) //nolint:forcetypeassert,errcheck // the copy has the type of the object
	*current = wanted
	if err := c.Status().Patch(ctx, o, from); err != nil {
		kind, _ := c.GroupVersionKindFor(o)
		return false, fmt.Errorf("write status of %s %s: %w", kind.Kind, client.ObjectKeyFromObject(o), err)
	}
	return true, nil
}
