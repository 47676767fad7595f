// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

// FederatedTokenSpec names the JWTs of a trusted issuer that authenticate the client.
//
// +kubebuilder:validation:XValidation:rule="!(has(self.subject) && has(self.subjectPrefix))",message="set subject or subjectPrefix, not both"
// +kubebuilder:validation:XValidation:rule="has(self.subject) || has(self.subjectPrefix) || has(self.claims)",message="set subject, subjectPrefix or claims: without them every JWT of the issuer would be accepted"
// +kubebuilder:validation:XValidation:rule="!has(self.subjectPrefix) || has(self.claims) || self.subjectPrefix.startsWith('spiffe://')",message="subjectPrefix needs claims, such as repository_id, because several workloads have the prefix"
type FederatedTokenSpec struct {
	// issuerName is the name of the OAuth2TrustedIssuer. Its spec.namespaces has to list the
	// namespace of the client.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:XValidation:rule="!format.dns1123Label().validate(self).hasValue()",message="issuerName is the name of an OAuth2TrustedIssuer: lower-case letters, digits and '-'"
	IssuerName string `json:"issuerName,omitempty"`

	// subject is the sub claim of the JWT, compared exactly. At most 512 characters.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=512
	Subject string `json:"subject,omitempty"`

	// subjectPrefix is the beginning of the sub claim. It ends in ':' or '/'.
	// +optional
	SubjectPrefix SubjectPrefix `json:"subjectPrefix,omitempty"`

	// claims are claims that the JWT must have, each with one of the values. Use those that
	// cannot be given to another workload, such as repository_id and environment of GitHub
	// Actions, or project_id and ref_protected of GitLab. At most 16, with at most 2048
	// characters in all.
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=16
	// +kubebuilder:validation:XValidation:rule="self.map(c, size(c.name) + c.values.map(v, size(v)).sum()).sum() <= 2048",message="claims must be at most 2048 characters in all, names and values"
	Claims []RequiredClaim `json:"claims,omitempty"`
}
