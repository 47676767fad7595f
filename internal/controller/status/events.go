// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package status

import (
	"cmp"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/events"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
)

// maxNote bounds the note of an event; the API server takes 1,024 bytes.
const maxNote = 1000

// partial are the conditions that report, by a status, that a part of a spec has no effect, or that
// requests which it seems to allow are refused.
var partial = []struct { //nolint:gochecknoglobals // a constant list
	kind   string
	status metav1.ConditionStatus
}{
	{v1alpha1.ConditionGrantsComplete, metav1.ConditionFalse},
	{v1alpha1.ConditionKeysComplete, metav1.ConditionFalse},
	{v1alpha1.ConditionClaimsComplete, metav1.ConditionFalse},
	{v1alpha1.ConditionWithinLimits, metav1.ConditionFalse},
	{v1alpha1.ConditionClientIDNeeded, metav1.ConditionTrue},
	{v1alpha1.ConditionOpenToPullRequests, metav1.ConditionTrue},
}

// Announce emits an event for each cause that keeps an object, or a part of its spec, from taking
// effect, once the conditions that report it are written. before are the conditions that were
// written before: a cause that is the same has had its event.
func Announce(recorder events.EventRecorder, o client.Object, before, after []metav1.Condition) {
	if because, was := companion(after), companion(before); because != nil {
		if reported(because) && (!reported(was) || differs(was, because)) {
			emit(recorder, o, because)
		}
	}
	for _, p := range partial {
		now := meta.FindStatusCondition(after, p.kind)
		if now == nil || now.Status != p.status {
			continue
		}
		was := meta.FindStatusCondition(before, p.kind)
		if was != nil && was.Status != p.status {
			was = nil
		}
		if differs(was, now) {
			emit(recorder, o, now)
		}
	}
}

// reported reports whether a companion of Ready has an event: what is expected to end has none
// before it is Stalled, but a refusal has.
func reported(because *metav1.Condition) bool {
	if because == nil || because.Reason == v1alpha1.ReasonProgressing {
		return false
	}
	return because.Type == v1alpha1.ConditionStalled || because.Reason == v1alpha1.ReasonWriteRefused
}

// companion is the condition with the reason why an object is not in its desired state; nil if it
// is.
func companion(conditions []metav1.Condition) *metav1.Condition {
	return cmp.Or(meta.FindStatusCondition(conditions, v1alpha1.ConditionReconciling), meta.FindStatusCondition(conditions, v1alpha1.ConditionStalled))
}

// differs reports whether a condition has another cause than before. Words that change while the
// spec does not, such as those of a webhook, are the same cause.
func differs(was, now *metav1.Condition) bool {
	return was == nil || was.Reason != now.Reason || was.Message != now.Message && was.ObservedGeneration != now.ObservedGeneration
}

func emit(recorder events.EventRecorder, o client.Object, because *metav1.Condition) {
	note := because.Message
	if len(note) > maxNote {
		note = strings.ToValidUTF8(note[:maxNote], "")
	}
	recorder.Eventf(o, nil, corev1.EventTypeWarning, because.Reason, "Reconcile", "%s", note)
}
