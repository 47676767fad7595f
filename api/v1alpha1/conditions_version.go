// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// ReasonNewerVersion is the reason of an object whose record a newer version of Hallpass wrote.
const ReasonNewerVersion = "NewerVersion"

// NewerRecord is the condition of an object whose record a newer version wrote, and which should
// change.
func NewerRecord() metav1.Condition {
	return notReady(ReasonNewerVersion,
		"A newer version of Hallpass wrote the record of this object, and this version does not overwrite it. The record stays in force. "+
			"Later changes of the object take effect once a manager of the newer version runs.")
}

// UnreadableRecord is the condition of an object whose record only a newer version can read.
func UnreadableRecord() metav1.Condition {
	return notReady(ReasonNewerVersion,
		"A newer version of Hallpass wrote the record of this object, and this version cannot read it and does not overwrite it. "+
			"Token servers that cannot read it either answer 503. Run the manager and the token servers in that version.")
}

// UnreadableResource is the condition of an OAuth2Token whose client may have a grant of a resource
// whose record only a newer version can read.
func UnreadableResource() metav1.Condition {
	return notReady(ReasonNewerVersion,
		"A newer version of Hallpass wrote the record of a resource that the client asks for, and this version cannot read it. "+
			"The token in the Secret stays as it is. Run the manager in that version.")
}
