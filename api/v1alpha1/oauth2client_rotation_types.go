// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// RotationSpec configures the rotation of the client secret. To rotate at once, set the annotation
// hallpass.dev/rotate of the OAuth2Client to a new value, such as the current time. If the
// annotation hallpass.dev/rotate-without-overlap has the same value, the previous secret is refused
// at once.
//
// +kubebuilder:validation:MinProperties=1
// +kubebuilder:validation:XValidation:rule="!has(self.interval) || !self.interval.matches('^([0-9]{1,6}[hms])+$') || has(self.overlap) && !self.overlap.matches('^([0-9]{1,6}[hms])+$') || duration(self.interval) >= duration(has(self.overlap) ? self.overlap : '24h') + duration('1m')",message="rotation.interval must be at least a minute longer than rotation.overlap, which is 24h if it is left out"
// +kubebuilder:validation:XValidation:rule="!has(self.retireWhenUnusedFor) || !self.retireWhenUnusedFor.matches('^([0-9]{1,6}[hms])+$') || has(self.overlap) && !self.overlap.matches('^([0-9]{1,6}[hms])+$') || duration(self.retireWhenUnusedFor) < duration(has(self.overlap) ? self.overlap : '24h')",message="rotation.retireWhenUnusedFor must be shorter than rotation.overlap, which is 24h if it is left out; set a longer overlap, such as 168h"
type RotationSpec struct {
	// interval is the time between two automatic rotations, from 1h to 8760h. If unset, the
	// secret is not rotated automatically. Hallpass spreads the rotations of different clients
	// over the interval; the first one takes place within one interval. The interval must be at
	// least one minute longer than overlap.
	// +optional
	// +kubebuilder:validation:XValidation:rule="!self.matches('^([0-9]{1,6}[hms])+$') || duration(self) >= duration('1h') && duration(self) <= duration('8760h')",message="rotation.interval must be between 1h and 8760h (a year)"
	Interval Duration `json:"interval,omitempty"`

	// overlap is the time for which the previous secret is accepted after a rotation, from 0s
	// to 2160h. Defaults to 24h. With 0s the previous secret is refused at once. A change does
	// not affect the overlap of secrets that were replaced before it.
	// +optional
	// +kubebuilder:validation:XValidation:rule="!self.matches('^([0-9]{1,6}[hms])+$') || duration(self) <= duration('2160h')",message="rotation.overlap must be at most 2160h (90 days)"
	Overlap Duration `json:"overlap,omitempty"`

	// retireWhenUnusedFor ends the overlap of a previous secret early: as soon as the secret
	// has been unused for this time, according to the reports of all replicas of the token
	// server. The time counts from the rotation, and from the start again after each use. From
	// 1h to 168h, and shorter than overlap. If unset, the previous secret is accepted until its
	// overlap ends.
	// +optional
	// +kubebuilder:validation:XValidation:rule="!self.matches('^([0-9]{1,6}[hms])+$') || duration(self) >= duration('1h') && duration(self) <= duration('168h')",message="rotation.retireWhenUnusedFor must be between 1h and 168h (a week)"
	RetireWhenUnusedFor Duration `json:"retireWhenUnusedFor,omitempty"`
}

// RotationStatus reports on the rotation of the client secret.
//
// +kubebuilder:validation:MinProperties=1
type RotationStatus struct {
	// handledRequest is the last value of the annotation hallpass.dev/rotate that Hallpass has
	// handled.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=256
	HandledRequest string `json:"handledRequest,omitempty"`

	// generation is the number of client secrets that were replaced before the current one.
	// Hallpass reads it only if the registration of the client is lost: the client secrets that
	// follow are counted from there.
	// +optional
	// +kubebuilder:validation:Minimum=1
	Generation int64 `json:"generation,omitempty"`

	// nextAt is the time at which the next rotation is due. If a rotation fails, it is the time
	// at which that rotation was due.
	// +optional
	NextAt metav1.Time `json:"nextAt,omitzero"`

	// reason is why a due or requested rotation is delayed or fails: TooManySecrets, Refused,
	// NotReady or NotGenerated.
	// +optional
	Reason RotationReason `json:"reason,omitempty"`

	// message explains the reason.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=1024
	Message string `json:"message,omitempty"`
}

// RotationReason is why a rotation is delayed or fails.
//
// +kubebuilder:validation:Enum=TooManySecrets;Refused;NotReady;NotGenerated
type RotationReason string
