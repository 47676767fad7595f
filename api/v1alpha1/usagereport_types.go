// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// UsageReport contains the uses of clients that one replica of the token server recorded. Only that
// replica writes it, in the registry namespace. The manager merges the reports into the status of
// clients and tokens, and deletes reports that are no longer needed. It grants no access, and users
// do not write it.
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

	// replica identifies the process that writes the report: the host name and a random part,
	// so that a restarted process is another replica. Part 1 of the report has this name. The
	// other parts append a dash and their number.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=200
	Replica string `json:"replica,omitempty"`

	// part is the number of this part, from 1 to 64. The part of a client is the last byte of
	// its UID modulo parts, plus one.
	// +required
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=64
	Part int32 `json:"part,omitempty"`

	// parts is the number of parts, from 1 to 64.
	// +required
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=64
	Parts int32 `json:"parts,omitempty"`

	// state is Serving, or Stopped once the replica has answered its last request. A replica
	// that was killed remains Serving.
	// +required
	State UsageReportState `json:"state,omitempty"`

	// startedAt is the time at which the replica started, by its own clock. The replica answers
	// no request before this report exists.
	// +required
	StartedAt metav1.Time `json:"startedAt,omitzero"`

	// coveredFrom is the start of the time for which the stored parts contain every use. Only
	// part 1 has coveredFrom and coveredUntil. Without them, the absence of a use from the
	// report proves nothing. Uses of the namespaces that part 1 names may be missing for
	// longer.
	// +optional
	CoveredFrom metav1.Time `json:"coveredFrom,omitzero"`

	// coveredUntil is the end of the time for which the stored parts contain every use.
	// +optional
	CoveredUntil metav1.Time `json:"coveredUntil,omitzero"`

	// maxStalenessSeconds is the time for which the replica continues to answer after its last
	// contact with the API server. For that time after coveredUntil it also accepts client
	// secrets that end once they are unused. Only part 1 has it. If unset, there is no such
	// limit.
	// +optional
	// +kubebuilder:validation:Minimum=1
	MaxStalenessSeconds int32 `json:"maxStalenessSeconds,omitempty"`

	// tokenVersion is the newest version of access tokens that the replica reads. Version 2 has
	// exchanged tokens, which are issued once every replica that runs has reported it. If
	// unset, the replica reads version 1. Only part 1 has it.
	// +optional
	// +kubebuilder:validation:Minimum=1
	TokenVersion int32 `json:"tokenVersion,omitempty"`

	// uses record when each client was last used, to the minute, in about forty bytes a client.
	// All numbers are unsigned varints (LEB128), and all times are minutes before the base,
	// which is in minutes since 1970. The value is a version (1), the base and the number of
	// clients. For each client, in the order of their UIDs, follow the 16 bytes of the UID,
	// flags (bit 0: a token was issued; bit 1: a token was presented and accepted; bits 2, 3,
	// 4: an expired token, a revoked token, a replaced secret was used; from bit 5 on the
	// number of client secrets), and the times of bits 0 and 1. For each secret follow the
	// length of its id, the id, and when it was last accepted. For each of bits 2, 3 and 4
	// follow the count, the last time, the length and text of the secret's id, and the length
	// and text of the caller's address. At most 256 KiB.
	//
	// Version 2 of the value stands in part 1 while uses are lost, because a namespace had more
	// of them than its share of the memory of the replica. Between the base and the number of
	// clients follow the number of such namespaces, at most 256, and for each, in their order,
	// the length of its name, the name, and the minute since 1970 before which the report may
	// lack uses of its clients and tokens.
	// +required
	// +kubebuilder:validation:MinLength=4
	// +kubebuilder:validation:MaxLength=349528
	Uses []byte `json:"uses,omitempty"`

	// refusals are the requests that were refused to clients, by client and reason, in a
	// compact form. They stand in part 1, prove no use, and decide nothing: the status of the
	// clients repeats them. All numbers are unsigned varints (LEB128), and each text follows
	// its length: a version (1), a base in minutes since 1970, the number of refusals; then for
	// each, in the order of clients and reasons, the 16 bytes of the client's UID, the reason,
	// how often, the last instant in minutes before the base, what was asked for and is not
	// granted, and the caller's address. At most 192 KiB.
	// +optional
	// +kubebuilder:validation:MinLength=4
	// +kubebuilder:validation:MaxLength=262144
	Refusals []byte `json:"refusals,omitempty"`
}

// UsageReportWithRefusals is the version of a report that has refusals, which readers of version 1
// ignore.
const UsageReportWithRefusals = 2

// UsageReportWithLosses is the version of a report that names namespaces of which uses are lost.
// Readers of earlier versions cannot read it, because they would take what is lost for unused.
const UsageReportWithLosses = 3

// UsageReportWithTokenVersion is the version of a report that has the version of tokens that its
// replica reads, which earlier readers ignore.
const UsageReportWithTokenVersion = 4

// UsageReportState is whether a replica still answers requests.
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
