// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

// Access is a request for scopes of one OAuth2Resource. status.grants reports the decision on each
// scope. Its fields resourceNamespace and resourceName are called namespace and name in
// defaultResource.
type Access struct {
	// resourceNamespace is the namespace of the OAuth2Resource. In spec.defaultResource this
	// field is called namespace.
	// +required
	ResourceNamespace NamespaceName `json:"resourceNamespace,omitempty"`

	// resourceName is the name of the OAuth2Resource. In spec.defaultResource this field is
	// called name. At most 253 characters.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	ResourceName string `json:"resourceName,omitempty"`

	// scopes are the scopes that the client asks for, 1 to 64. The OAuth2Resource has to define
	// and grant each one; a scope that it does not grant is left out.
	// +required
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=64
	Scopes []Scope `json:"scopes,omitempty"`
}

// ResourceReference names an OAuth2Resource. Its fields namespace and name are called
// resourceNamespace and resourceName in access.
type ResourceReference struct {
	// namespace is the namespace of the OAuth2Resource.
	// +required
	Namespace NamespaceName `json:"namespace,omitempty"`

	// name is the name of the OAuth2Resource.
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

// GrantStatus reports the decisions on the scopes that a client asks for at one audience.
type GrantStatus struct {
	// audience is the aud claim of the tokens, and the resource parameter of a token request.
	// It is absent if no scope is granted.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=1024
	Audience string `json:"audience,omitempty"`

	// resource is the OAuth2Resource. It is absent for spec.scopes: their audience is the
	// client's own namespace.
	// +optional
	Resource ResourceReference `json:"resource,omitzero"`

	// scopes are the requested scopes with the decision on each.
	// +required
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=64
	Scopes []ScopeGrant `json:"scopes,omitempty"`
}

// ScopeGrant is the decision on one scope.
type ScopeGrant struct {
	// name is the name of the scope.
	// +required
	Name Scope `json:"name,omitempty"`

	// decision is Granted, or the reason for a refusal: ResourceNotFound, ScopeNotDefined,
	// NotAllowedByResource or NotAllowedByPolicy. NewerVersion: a newer version of Hallpass has
	// stored a record of the OAuth2Resource, and this manager is too old to read the record;
	// upgrade the manager.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=64
	Decision string `json:"decision,omitempty"`
}
