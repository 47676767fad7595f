// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// OAuth2TrustedIssuerStatus is the observed state of an OAuth2TrustedIssuer.
type OAuth2TrustedIssuerStatus struct {
	// observedGeneration is the metadata.generation that this status describes.
	// +optional
	// +kubebuilder:validation:Minimum=1
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`

	// keys are the keys that are used.
	// +optional
	// +listType=map
	// +listMapKey=id
	// +kubebuilder:validation:MaxItems=100
	Keys []IssuerKey `json:"keys,omitempty"`

	// fetchedAt is when the keys were fetched. While they stay the same it is updated a few
	// times in keys.maxAge.
	// +optional
	FetchedAt metav1.Time `json:"fetchedAt,omitzero"`

	// keysExpireAt is when the keys are no longer used unless they are fetched again.
	// +optional
	KeysExpireAt metav1.Time `json:"keysExpireAt,omitzero"`

	// clients is the number of OAuth2Clients that name the issuer.
	// +optional
	// +kubebuilder:validation:Minimum=0
	Clients *int32 `json:"clients,omitempty"`

	// conditions follow kstatus, so that kubectl wait can be used. Ready is True while JWTs of
	// the issuer are accepted. KeysFresh is False while the keys cannot be fetched.
	// +optional
	// +listType=map
	// +listMapKey=type
	// +kubebuilder:validation:MaxItems=8
	Conditions []metav1.Condition `json:"conditions,omitempty"`
}

// IssuerKey is a public key of an issuer.
type IssuerKey struct {
	// id is the RFC 7638 thumbprint of the key.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=64
	ID string `json:"id,omitempty"`

	// algorithm is the algorithm that the key signs with.
	// +required
	Algorithm IssuerAlgorithm `json:"algorithm,omitempty"`
}
