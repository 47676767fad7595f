// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

// Package status is what reconcilers share who write conditions in the vocabulary of kstatus, and who must not write a status twice
// because the cache is behind their own last write.
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

// SetConditions sets Ready and its companions: none for an object with nothing in its way, Reconciling for an obstacle that passes
// without a user's help, and Stalled for one that does not.
func SetConditions(conditions *[]metav1.Condition, generation int64, ready metav1.Condition, obstacle *metav1.Condition, passing bool) {
	companions := map[string]*metav1.Condition{}
	if obstacle != nil {
		ready = *obstacle
		if passing {
			companions[v1alpha1.ConditionReconciling] = new(v1alpha1.Reconciling(ready))
		} else {
			companions[v1alpha1.ConditionStalled] = new(v1alpha1.Stalled(ready))
		}
	}
	ready.ObservedGeneration = generation
	meta.SetStatusCondition(conditions, ready)
	for _, kind := range []string{v1alpha1.ConditionReconciling, v1alpha1.ConditionStalled} {
		if companion := companions[kind]; companion != nil {
			companion.ObservedGeneration = generation
			meta.SetStatusCondition(conditions, *companion)
		} else {
			meta.RemoveStatusCondition(conditions, kind)
		}
	}
}

// Written remembers status writes that the cache has not seen yet. Its zero value is ready to use.
type Written struct {
	versions sync.Map // resourceVersions by UID
}

// Note notes what a write of an object's status has returned.
func (w *Written) Note(o client.Object) { w.versions.Store(o.GetUID(), o.GetResourceVersion()) }

// Forget drops what is known of an object that is gone.
func (w *Written) Forget(o client.Object) { w.versions.Delete(o.GetUID()) }

// Behind reports whether what the cache has of an object is older than the status that was just written to it. Acting on it would
// write the same status once more; the watch brings the newer one, and wakes us again.
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
