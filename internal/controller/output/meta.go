// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package output

import (
	"maps"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
)

// metaOf is the metadata of an output: the owner's labels and annotations, and ours, which those of
// the owner do not replace. The names of the owner's are listed in an annotation, so that they can
// be removed.
func metaOf[L, A ~string](o Owner, name string, labels map[string]L, annotations map[string]A) metav1.ObjectMeta {
	meta := metav1.ObjectMeta{
		Namespace: o.Namespace, Name: name,
		Labels: map[string]string{}, Annotations: map[string]string{},
	}
	var added []string
	for key, value := range labels {
		meta.Labels[key] = string(value)
		added = append(added, addedLabel+key)
	}
	for key, value := range annotations {
		meta.Annotations[key] = string(value)
		added = append(added, addedAnnotation+key)
	}
	if len(added) > 0 {
		slices.Sort(added)
		meta.Annotations[v1alpha1.AnnotationAdded] = strings.Join(added, " ")
	}
	meta.Labels[v1alpha1.LabelManagedBy], meta.Annotations[o.Annotation] = v1alpha1.ManagedBy, o.Name
	return meta
}

// The words of AnnotationAdded begin with one of these; a name follows.
const (
	addedLabel      = "label:"
	addedAnnotation = "annotation:"
)

// SameMeta compares the labels and annotations that we write; what others added is theirs.
func SameMeta(stored, wanted metav1.Object) bool {
	return includes(stored.GetLabels(), wanted.GetLabels()) && includes(stored.GetAnnotations(), wanted.GetAnnotations())
}

func includes(all, some map[string]string) bool { return maps.Equal(all, labels.Merge(all, some)) }

// KeepOthers adds to wanted, which replaces stored, what others put there, a reloader or a backup
// tool for one: labels, annotations, owner references and finalizers.
func KeepOthers(wanted, stored metav1.Object) {
	wanted.SetResourceVersion(stored.GetResourceVersion())
	wanted.SetLabels(labels.Merge(stored.GetLabels(), wanted.GetLabels()))
	wanted.SetAnnotations(labels.Merge(stored.GetAnnotations(), wanted.GetAnnotations()))
	owners := slices.Clone(stored.GetOwnerReferences())
	for _, owner := range wanted.GetOwnerReferences() {
		if at := slices.IndexFunc(owners, sameOwner(owner)); at >= 0 {
			owners[at].APIVersion = owner.APIVersion
		} else {
			owners = append(owners, owner)
		}
	}
	wanted.SetOwnerReferences(owners)
	wanted.SetFinalizers(stored.GetFinalizers())
}

func sameOwner(a metav1.OwnerReference) func(metav1.OwnerReference) bool {
	return func(b metav1.OwnerReference) bool { return a.UID == b.UID && a.Name == b.Name && a.Kind == b.Kind }
}

// ofOthers is the stored metadata without what was written for the owner and wanted may lack:
// labels and annotations that were added, and references to the owner and its predecessors.
func (o Owner) ofOthers(stored, wanted metav1.Object) *metav1.ObjectMeta {
	rest := &metav1.ObjectMeta{
		ResourceVersion: stored.GetResourceVersion(), Labels: stored.GetLabels(), Annotations: stored.GetAnnotations(), Finalizers: stored.GetFinalizers(),
	}
	if _, there := rest.Annotations[v1alpha1.AnnotationGeneration]; there {
		rest.Annotations = maps.Clone(rest.Annotations)
		delete(rest.Annotations, v1alpha1.AnnotationGeneration)
	}
	if list, there := rest.Annotations[v1alpha1.AnnotationAdded]; there {
		rest.Labels, rest.Annotations = maps.Clone(rest.Labels), maps.Clone(rest.Annotations)
		delete(rest.Annotations, v1alpha1.AnnotationAdded)
		for added := range strings.FieldsSeq(list) {
			if name, found := strings.CutPrefix(added, addedLabel); found {
				delete(rest.Labels, name)
			} else {
				delete(rest.Annotations, strings.TrimPrefix(added, addedAnnotation))
			}
		}
	}
	for _, owner := range stored.GetOwnerReferences() {
		if !o.sameKind(owner) || slices.ContainsFunc(wanted.GetOwnerReferences(), sameOwner(owner)) {
			rest.OwnerReferences = append(rest.OwnerReferences, owner)
		}
	}
	return rest
}

// sameMeta reports whether metadata is stored as it was merged.
func sameMeta(stored, merged metav1.Object) bool {
	return maps.Equal(stored.GetLabels(), merged.GetLabels()) && maps.Equal(stored.GetAnnotations(), merged.GetAnnotations()) &&
		slices.EqualFunc(stored.GetOwnerReferences(), merged.GetOwnerReferences(), func(a, b metav1.OwnerReference) bool {
			return a.APIVersion == b.APIVersion && sameOwner(a)(b)
		})
}
