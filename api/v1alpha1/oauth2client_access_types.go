// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

// Access is what a client asks of one declared resource. What it gets, and why not the rest, status.grants says.
type Access struct {
	// resourceNamespace is the namespace of the OAuth2Resource.
	// +required
	ResourceNamespace NamespaceName `json:"resourceNamespace,omitempty"`

	// resourceName is its name.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	ResourceName string `json:"resourceName,omitempty"`

	// scopes that the client would like to have on it. At most 64.
	// +required
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=64
	Scopes []Scope `json:"scopes,omitempty"`
}

// ResourceReference names an OAuth2Resource.
type ResourceReference struct {
	// namespace of the OAuth2Resource.
	// +required
	Namespace NamespaceName `json:"namespace,omitempty"`

	// name of the OAuth2Resource.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name,omitempty"`
}

// ResourceName is an OAuth2Resource as <namespace>/<name>.
//
// +kubebuilder:validation:MinLength=1
// +kubebuilder:validation:MaxLength=317
type ResourceName string

// GrantStatus tells what became of the scopes that a client asks for at one audience.
type GrantStatus struct {
	// audience is the aud of the tokens, and what a token request names as its resource; it is there if anything is granted.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=1024
	Audience string `json:"audience,omitempty"`

	// resource is the OAuth2Resource; the grant of the client's own namespace, which spec.scopes asks for, has none.
	// +optional
	Resource ResourceReference `json:"resource,omitzero"`

	// scopes are those asked for.
	// +required
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=64
	Scopes []ScopeGrant `json:"scopes,omitempty"`
}

// ScopeGrant tells what became of one scope.
type ScopeGrant struct {
	// name of the scope.
	// +required
	Name Scope `json:"name,omitempty"`

	// decision is Granted, or why not: ResourceNotFound, ScopeNotDefined, NotAllowedByResource or NotAllowedByPolicy.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=64
	Decision string `json:"decision,omitempty"`
}
