// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// UsageReport is what one replica of the token server saw of the use of clients. It lives in the registry namespace, is written by
// that replica alone and read by the manager, which merges all of them into the status of the clients and deletes those that say
// nothing new any more. It grants nothing, and is not for users to write.
//
// +kubebuilder:object:root=true
// +kubebuilder:resource:categories=hallpass
// +kubebuilder:printcolumn:name="Replica",type=string,JSONPath=`.spec.replica`
// +kubebuilder:printcolumn:name="State",type=string,JSONPath=`.spec.state`
// +kubebuilder:printcolumn:name="From",type=string,JSONPath=`.spec.coveredFrom`
// +kubebuilder:printcolumn:name="Until",type=string,JSONPath=`.spec.coveredUntil`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
type UsageReport struct {
	metav1.TypeMeta `json:",inline"`

	// metadata is the standard metadata of a Kubernetes object.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitzero"`

	// spec is the report.
	// +required
	Spec UsageReportSpec `json:"spec,omitzero"`
}

// UsageReportList is a list of UsageReports.
//
// +kubebuilder:object:root=true
type UsageReportList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitzero"`
	Items           []UsageReport `json:"items"`
}

// UsageReportSpec is a report, or one part of a report that is too long for one object.
type UsageReportSpec struct {
	RecordForm `json:",inline"` //nolint:kubeapilinter // inline fields are fields of the spec

	// replica names the process that writes the report: the host's name and a random part, so that a process that starts again is
	// another replica. Part 1 of the report is named like it, the others have a dash and their number behind that.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=200
	Replica string `json:"replica,omitempty"`

	// part is the number of this part, from 1. A client is in the part that the last byte of its UID gives: that byte modulo parts, and
	// one more.
	// +required
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=64
	Part int32 `json:"part,omitempty"`

	// parts is how many parts there are.
	// +required
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=64
	Parts int32 `json:"parts,omitempty"`

	// state is Serving, or Stopped once the replica has answered its last request. A replica that was killed stays Serving.
	// +required
	State UsageReportState `json:"state,omitempty"`

	// startedAt is when the replica began, by its own clock. It answers nobody before this report is there.
	// +required
	StartedAt metav1.Time `json:"startedAt,omitzero"`

	// coveredFrom and coveredUntil are the span of which no use is missing in the parts as they are stored. Both stand in part 1
	// alone; without them nothing is said about what is not told.
	// +optional
	CoveredFrom metav1.Time `json:"coveredFrom,omitzero"`

	// coveredUntil is the end of that span.
	// +optional
	CoveredUntil metav1.Time `json:"coveredUntil,omitzero"`

	// maxStalenessSeconds is how long the replica goes on at the most after it last heard from the API server, and how long after
	// coveredUntil it accepts client secrets that are to end once nobody uses them. It stands in part 1; left out there is no such limit.
	// +optional
	// +kubebuilder:validation:Minimum=1
	MaxStalenessSeconds int32 `json:"maxStalenessSeconds,omitempty"`

	// uses tell of each client when it was last used, to the minute, in a compact form of some forty bytes a client. All numbers are
	// unsigned varints (LEB128), all instants minutes before the base, which is in minutes since 1970: a version (1), the base, the
	// number of clients; then for each client, in the order of their UIDs, the 16 bytes of the UID, flags (bit 0: a token was issued;
	// bit 1: a token was presented and accepted; bits 2, 3, 4: an expired token, a revoked token, a replaced secret was used; from bit
	// 5 on the number of client secrets), the instants of the bits 0 and 1; for each secret the length of its id, the id and when
	// it was last accepted; for each of the bits 2, 3, 4 how often, the last instant, the length and text of the secret's id, and the
	// length and text of the caller's address. At most 256 KiB.
	// +required
	// +kubebuilder:validation:MinLength=4
	// +kubebuilder:validation:MaxLength=349528
	Uses []byte `json:"uses,omitempty"`
}

// UsageReportState says whether a replica still answers requests.
//
// +kubebuilder:validation:Enum=Serving;Stopped
type UsageReportState string

// The states of a replica.
const (
	// UsageServing is a replica that answers requests, or that was killed.
	UsageServing UsageReportState = "Serving"
	// UsageStopped is a replica that has answered its last request.
	UsageStopped UsageReportState = "Stopped"
)
