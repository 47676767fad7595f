// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import (
	"fmt"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// The reasons about what is written for an object.
const (
	// ReasonWriteRefused: the API server refuses a write: a right, a quota, an admission policy
	// or a webhook.
	ReasonWriteRefused = "WriteRefused"
	// ReasonRepairDoesNotHold: something changes what is written each time that it is repaired.
	ReasonRepairDoesNotHold = "RepairDoesNotHold"
)

// WriteRefused is the condition about an attempt that the API server refuses; words are the API
// server's.
func WriteRefused(attempt, words string) metav1.Condition {
	return notReady(ReasonWriteRefused, fmt.Sprintf("Could not %s; the API server refuses it: %s. Hallpass tries again every 30 seconds.", attempt, words))
}

// RepairDoesNotHold is the condition about an object that is changed each time that it is repaired.
func RepairDoesNotHold(kind, name string, repairs int, pause time.Duration) metav1.Condition {
	return notReady(ReasonRepairDoesNotHold, fmt.Sprintf(
		"%s %q was repaired %d times and was changed again each time. Find what else writes or deletes it: a second installation of Hallpass, "+
			"a tool that copies Secrets, a webhook. Hallpass repairs it again after %s.", kind, name, repairs, pause))
}

// SecretDeleted is the condition of a client whose Existing Secret was deleted, and what it held is
// accepted.
func SecretDeleted(secretName string) metav1.Condition {
	return notReady(ReasonSecretNotFound, fmt.Sprintf(
		"Secret %q no longer exists, but the client secret that it held is still accepted. To replace it, create the Secret with the label "+
			"%s: \"true\" and another value: the former one is then refused after spec.rotation.overlap. To refuse it at once, suspend or delete the client.",
		secretName, LabelCredentials))
}

// TokenNotReplaced is the condition of a token that has expired in its Secret, because it could not
// be replaced.
func TokenNotReplaced(secretName string, end time.Time) metav1.Condition {
	return notReady(ReasonExpired, fmt.Sprintf(
		"The token in Secret %q expired at %s, because it could not be replaced; trying again.", secretName, end.UTC().Format(time.RFC3339)))
}

// The reasons why a rotation of a client secret waits or fails.
const (
	// RotationTooManySecrets: as many secrets are accepted as may be at once.
	RotationTooManySecrets RotationReason = "TooManySecrets"
	// RotationRefused: the API server refuses a write.
	RotationRefused RotationReason = "Refused"
	// RotationNotReady: the client is not ready for another reason.
	RotationNotReady RotationReason = "NotReady"
	// RotationNotGenerated: the client has no secret that is generated here.
	RotationNotGenerated RotationReason = "NotGenerated"
)
