// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// ReasonNewerVersion is the reason of an object whose record a newer version of Hallpass wrote.
const ReasonNewerVersion = "NewerVersion"

// NewerRecord is the condition of an object whose record a newer version wrote, and which should change.
func NewerRecord() metav1.Condition {
	return notReady(ReasonNewerVersion,
		"A newer version of Hallpass wrote its record, and this one does not write over it. What is on record stays in force. "+
			"What has changed since takes effect once a manager of that version runs.")
}

// UnreadableRecord is the condition of an object whose record only a newer version can read.
func UnreadableRecord() metav1.Condition {
	return notReady(ReasonNewerVersion,
		"A newer version of Hallpass wrote its record, which this one cannot read and does not write over. "+
			"Token servers that cannot read it either answer 503. Run the manager and the token servers in that version.")
}
