// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package output

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/types"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
)

// The API server refuses labels and annotations of our domain; an object that was stored before
// such a rule replaces no label or annotation of Hallpass either.
func TestLabelsOfUsersReplaceNoneOfOurs(t *testing.T) {
	owner := Owner{NamespacedName: types.NamespacedName{Namespace: "shop", Name: "reporting"}, Annotation: v1alpha1.AnnotationClient}
	meta := metaOf(owner, "credentials",
		map[string]string{v1alpha1.LabelManagedBy: "mallory", "team": "a"}, map[string]string{v1alpha1.AnnotationClient: "victim", "note": "b"})
	if diff := cmp.Diff(map[string]string{v1alpha1.LabelManagedBy: v1alpha1.ManagedBy, "team": "a"}, meta.Labels); diff != "" {
		t.Errorf("labels (-want +got):\n%s", diff)
	}
	want := map[string]string{
		v1alpha1.AnnotationClient: "reporting", "note": "b",
		v1alpha1.AnnotationAdded: "annotation:hallpass.dev/client annotation:note label:app.kubernetes.io/managed-by label:team",
	}
	if diff := cmp.Diff(want, meta.Annotations); diff != "" {
		t.Errorf("annotations (-want +got):\n%s", diff)
	}
}
