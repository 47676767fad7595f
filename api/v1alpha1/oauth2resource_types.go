// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// OAuth2Resource declares an API: the identifier that its tokens are for, the scopes that it knows, and who may have which of
// them. It belongs to the API's owner, and nobody gets a token for the API without a grant in it.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:shortName=hpr,categories=hallpass
// +kubebuilder:printcolumn:name="Identifier",type=string,JSONPath=`.status.identifier`
// +kubebuilder:printcolumn:name="Clients",type=integer,JSONPath=`.status.clients`
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Reason",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].reason`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:printcolumn:name="Display Name",type=string,priority=1,JSONPath=`.spec.displayName`
// +kubebuilder:printcolumn:name="Scopes",type=string,priority=1,JSONPath=`.status.scopeNames`
//
// +kubebuilder:validation:XValidation:rule="(has(self.spec) && has(self.spec.identifier)) == (has(oldSelf.spec) && has(oldSelf.spec.identifier)) && (!has(self.spec) || !has(self.spec.identifier) || self.spec.identifier == oldSelf.spec.identifier)",message="spec.identifier cannot be changed, set or removed: tokens are out that name it; create another OAuth2Resource for another identifier"
type OAuth2Resource struct {
	metav1.TypeMeta `json:",inline"`

	// metadata is the standard metadata of a Kubernetes object.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitzero"`

	// spec is what the API's owner declares.
	// +optional
	Spec OAuth2ResourceSpec `json:"spec,omitzero"`

	// status is what Hallpass has made of it. Nothing reads it back as an input.
	// +optional
	Status OAuth2ResourceStatus `json:"status,omitzero"`
}

// OAuth2ResourceList is a list of OAuth2Resources.
//
// +kubebuilder:object:root=true
type OAuth2ResourceList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitzero"`
	Items           []OAuth2Resource `json:"items"`
}

// OAuth2ResourceSpec is what the owner of an API declares about it.
//
// +kubebuilder:validation:XValidation:rule="!has(self.grants) || self.grants.all(g, g.scopes.all(s, has(self.scopes) && self.scopes.exists(d, d.name == s)))",message="a grant gives a scope that spec.scopes does not define; add it there, or correct its name"
type OAuth2ResourceSpec struct {
	// identifier is the resource indicator (RFC 8707) of the API: clients ask for it, and it is the aud of their tokens. Left out
	// it is <issuer>/resources/<namespace>/<name>, which status.identifier shows. Another one is an absolute https URI that an
	// OAuth2Policy has to allow; it cannot be changed, set or removed later. At most 255 characters.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=255
	// +kubebuilder:validation:XValidation:rule="self.matches('^https://[a-z0-9]([-a-z0-9]*[a-z0-9])?([.][a-z0-9]([-a-z0-9]*[a-z0-9])?)*(:[0-9]{1,5})?(/[-._~a-zA-Z0-9]*)*$') && !self.matches('/[.][.]?(/|$)') && !self.matches('//.*//')",message="identifier is an absolute https URI such as https://orders.example.com/api: its host in lower-case ASCII without a user and without a dot at the end, its path in letters, digits, '-', '.', '_' and '~', and neither query nor fragment"
	Identifier string `json:"identifier,omitempty"`

	// displayName names the API for humans, in wide lists (kubectl get --output wide) and in its metadata (RFC 9728). At most 100 characters.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=100
	DisplayName string `json:"displayName,omitempty"`

	// scopes are what can be granted on the API. At most 64.
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=64
	Scopes []ResourceScope `json:"scopes,omitempty"`

	// grants say who may have which scopes. Whoever is in none of them gets nothing, clients of the API's own namespace
	// included. At most 32.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=32
	Grants []ResourceGrant `json:"grants,omitempty"`

	// introspection says which clients may ask about tokens for this API; left out, those of its own namespace may.
	// +optional
	Introspection IntrospectionSpec `json:"introspection,omitzero"`

	// tokenLifetime is the longest that a token for this API may be valid, from 1m to 1h, in whole seconds. Left out it is 1h.
	// +optional
	// +kubebuilder:validation:XValidation:rule="!self.matches('^([0-9]{1,6}[hms])+$') || duration(self) >= duration('1m') && duration(self) <= duration('1h')",message="tokenLifetime must be between 1m and 1h in whole seconds, such as 30m"
	TokenLifetime Duration `json:"tokenLifetime,omitempty"`

	// maxFixedTokenLifetime is the longest that a token of an OAuth2Token with mode Fixed may be valid for this API, from its creation on,
	// whatever tokenLifetime says; the limits of the installation and of OAuth2Policies hold as well. 0s allows none. Left out, clients of
	// other namespaces have no such tokens, and those of the API's own namespace what the installation and tokenLifetime allow. A
	// token that exists keeps its end, with the condition WithinLimits False.
	// +optional
	MaxFixedTokenLifetime Duration `json:"maxFixedTokenLifetime,omitempty"`
}

// ResourceScope is one scope of an API.
type ResourceScope struct {
	// name of the scope, as it stands in requests and tokens.
	// +required
	Name Scope `json:"name,omitempty"`

	// description says to humans what the scope allows. At most 500 characters.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=500
	Description string `json:"description,omitempty"`
}

// ResourceGrant gives scopes to clients.
type ResourceGrant struct {
	// from says which clients it is for.
	// +required
	From GrantSource `json:"from,omitzero"`

	// scopes are what those clients may have, of those that spec.scopes defines. At most 64.
	// +required
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=64
	Scopes []Scope `json:"scopes,omitempty"`
}

// GrantSource selects clients by their namespace and, within it, by their labels.
//
// +kubebuilder:validation:MinProperties=1
// +kubebuilder:validation:XValidation:rule="has(self.namespaces) != has(self.namespaceSelector)",message="from needs either namespaces or namespaceSelector"
type GrantSource struct {
	// namespaces are the clients' namespaces by name. At most 64.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=64
	Namespaces []NamespaceName `json:"namespaces,omitempty"`

	// namespaceSelector selects the clients' namespaces by labels that the installation names as protected: those that the
	// owner of a namespace cannot set.
	// +optional
	NamespaceSelector LabelMatch `json:"namespaceSelector,omitzero"`

	// clientSelector narrows it to clients that carry these labels; left out it is every client of those namespaces. Whoever
	// may write a client may label it.
	// +optional
	ClientSelector LabelMatch `json:"clientSelector,omitzero"`
}

// NamespaceName is the name of a namespace.
//
// +kubebuilder:validation:MinLength=1
// +kubebuilder:validation:MaxLength=63
// +kubebuilder:validation:XValidation:rule="!format.dns1123Label().validate(self).hasValue()",message="a namespace is named with lower-case letters, digits and '-'"
type NamespaceName string

// LabelMatch selects objects by labels.
type LabelMatch struct {
	// matchLabels are labels that must all be there with these values. At most 8.
	// +required
	// +kubebuilder:validation:MinProperties=1
	// +kubebuilder:validation:MaxProperties=8
	// +kubebuilder:validation:XValidation:rule="self.all(k, !format.qualifiedName().validate(k).hasValue())",message="a label is named like app or example.com/app: letters, digits, '-', '_' and '.'"
	MatchLabels map[string]LabelValue `json:"matchLabels,omitempty"`
}

// IntrospectionSpec says which clients may introspect tokens.
type IntrospectionSpec struct {
	// clients by namespace and name. At most 64.
	// +required
	// +listType=map
	// +listMapKey=namespace
	// +listMapKey=name
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=64
	Clients []ClientReference `json:"clients,omitempty"`
}

// ClientReference names an OAuth2Client.
type ClientReference struct {
	// namespace of the client.
	// +required
	Namespace NamespaceName `json:"namespace,omitempty"`

	// name of the client.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name,omitempty"`
}

// OAuth2ResourceStatus is what Hallpass has made of an OAuth2Resource.
type OAuth2ResourceStatus struct {
	// observedGeneration is the generation of the spec that this status speaks of.
	// +optional
	// +kubebuilder:validation:Minimum=1
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`

	// identifier is the resource indicator of the API, and the aud of its tokens.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=1024
	Identifier string `json:"identifier,omitempty"`

	// clients is how many clients hold any scope of the API.
	// +optional
	// +kubebuilder:validation:Minimum=0
	Clients *int32 `json:"clients,omitempty"`

	// scopes tell how many clients hold each scope. They follow the clients within seconds.
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=64
	Scopes []ScopeHolders `json:"scopes,omitempty"`

	// scopeNames are the names of status.scopes.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=64
	ScopeNames []Scope `json:"scopeNames,omitempty"`

	// conditions are what kstatus and kubectl wait look at: Ready is True while tokens are issued for the API.
	// +optional
	// +listType=map
	// +listMapKey=type
	// +kubebuilder:validation:MaxItems=8
	Conditions []metav1.Condition `json:"conditions,omitempty"`
}

// ScopeHolders tells how many clients hold a scope.
type ScopeHolders struct {
	// name of the scope.
	// +required
	Name Scope `json:"name,omitempty"`

	// clients is how many hold it.
	// +required
	// +kubebuilder:validation:Minimum=0
	Clients *int32 `json:"clients,omitempty"`
}
