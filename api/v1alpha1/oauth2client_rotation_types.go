// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// RotationSpec says when the client secret is replaced. On demand it is replaced whenever the annotation
// hallpass.dev/rotate of the OAuth2Client gets a value that it did not have before.
//
// +kubebuilder:validation:MinProperties=1
// +kubebuilder:validation:XValidation:rule="!has(self.interval) || !self.interval.matches('^([0-9]{1,6}[hms])+$') || has(self.overlap) && !self.overlap.matches('^([0-9]{1,6}[hms])+$') || duration(self.interval) >= duration(has(self.overlap) ? self.overlap : '24h') + duration('1m')",message="rotation.interval must be at least a minute longer than rotation.overlap, which is 24h if it is left out"
// +kubebuilder:validation:XValidation:rule="!has(self.retireWhenUnusedFor) || !self.retireWhenUnusedFor.matches('^([0-9]{1,6}[hms])+$') || has(self.overlap) && !self.overlap.matches('^([0-9]{1,6}[hms])+$') || duration(self.retireWhenUnusedFor) < duration(has(self.overlap) ? self.overlap : '24h')",message="rotation.retireWhenUnusedFor must be shorter than rotation.overlap, which is 24h if it is left out; set a longer overlap, such as 168h"
type RotationSpec struct {
	// interval is how often the secret is replaced on its own, from 1h to 8760h; left out, never. The moment within the
	// interval differs from client to client, and the first replacement comes within one interval.
	// +optional
	// +kubebuilder:validation:XValidation:rule="!self.matches('^([0-9]{1,6}[hms])+$') || duration(self) >= duration('1h') && duration(self) <= duration('8760h')",message="rotation.interval must be between 1h and 8760h (a year)"
	Interval Duration `json:"interval,omitempty"`

	// overlap is how long a replaced secret still works, from 0s (it ends at once) to 2160h; left out it is 24h. Running overlaps keep their end.
	// +optional
	// +kubebuilder:validation:XValidation:rule="!self.matches('^([0-9]{1,6}[hms])+$') || duration(self) <= duration('2160h')",message="rotation.overlap must be at most 2160h (90 days)"
	Overlap Duration `json:"overlap,omitempty"`

	// retireWhenUnusedFor ends a replaced secret before its overlap is over, once nobody has used it for that long since it was
	// replaced, and every replica of the token server has reported so; from 1h to 168h, and shorter than the overlap. Left out,
	// replaced secrets live as long as their overlap.
	// +optional
	// +kubebuilder:validation:XValidation:rule="!self.matches('^([0-9]{1,6}[hms])+$') || duration(self) >= duration('1h') && duration(self) <= duration('168h')",message="rotation.retireWhenUnusedFor must be between 1h and 168h (a week)"
	RetireWhenUnusedFor Duration `json:"retireWhenUnusedFor,omitempty"`
}

// RotationStatus tells of the rotation of the secret.
//
// +kubebuilder:validation:MinProperties=1
type RotationStatus struct {
	// handledRequest is the last value of the annotation hallpass.dev/rotate that was carried out.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=256
	HandledRequest string `json:"handledRequest,omitempty"`

	// nextAt is when the next rotation is due.
	// +optional
	NextAt metav1.Time `json:"nextAt,omitzero"`

	// reason is why a rotation that is due or was requested waits or fails: TooManySecrets, Refused, NotReady or NotGenerated.
	// +optional
	Reason RotationReason `json:"reason,omitempty"`

	// message says so for humans.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=1024
	Message string `json:"message,omitempty"`
}

// RotationReason is why a rotation waits or fails.
//
// +kubebuilder:validation:Enum=TooManySecrets;Refused;NotReady;NotGenerated
type RotationReason string
