// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package show

import (
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Events is the table of events.
func Events(events []corev1.Event, now time.Time) *metav1.Table {
	return table([]column[corev1.Event]{
		{"Last Seen", false, func(e *corev1.Event, now time.Time) string { return ago(metav1.NewTime(EventTime(e)), now) }},
		{"Type", false, func(e *corev1.Event, _ time.Time) string { return e.Type }},
		{"Reason", false, func(e *corev1.Event, _ time.Time) string { return e.Reason }},
		{"Count", true, func(e *corev1.Event, _ time.Time) string { return strconv.Itoa(int(eventCount(e))) }},
		{"Message", false, func(e *corev1.Event, _ time.Time) string { return e.Message }},
	}, events, now)
}

// EventTime is when an event happened last.
func EventTime(e *corev1.Event) time.Time {
	switch {
	case e.Series != nil:
		return e.Series.LastObservedTime.Time
	case !e.LastTimestamp.IsZero():
		return e.LastTimestamp.Time
	case !e.EventTime.IsZero():
		return e.EventTime.Time
	}
	return e.CreationTimestamp.Time
}

func eventCount(e *corev1.Event) int32 {
	if e.Series != nil {
		return e.Series.Count
	}
	return max(e.Count, 1)
}
