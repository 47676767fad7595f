// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

// Package status sets conditions in the vocabulary of kstatus, and writes a status once although the
// cache may be behind the last write.
package status

import (
	"context"
	"fmt"
	"sync"

	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/resourceversion"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
)

// SetConditions sets Ready and its companions: Reconciling for an obstacle that passes without a
// user's help, Stalled for one that does not, and none where there is no obstacle.
func SetConditions(conditions *[]metav1.Condition, generation int64, ready metav1.Condition, obstacle *metav1.Condition, passing bool) {
	var reconciling, stalled *metav1.Condition
	if obstacle != nil {
		if ready = *obstacle; passing {
			reconciling = new(v1alpha1.Reconciling(ready))
		} else {
			stalled = new(v1alpha1.Stalled(ready))
		}
	}
	Set(conditions, generation, v1alpha1.ConditionReady, &ready)
	Set(conditions, generation, v1alpha1.ConditionReconciling, reconciling)
	Set(conditions, generation, v1alpha1.ConditionStalled, stalled)
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

// Behind reports whether the cache has an object without the status that was just written to it. The
// watch brings the newer one, and wakes the reconciler again.
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

// Patch writes the status of an object if wanted differs from current, which points into the object. It
// reports whether it did.
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
