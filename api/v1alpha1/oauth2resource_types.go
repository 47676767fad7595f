// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import (
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// OAuth2Resource declares an API: its identifier, its scopes, and which clients are granted which
// scopes. The owner of the API creates it. A client without a grant gets no token for the API.
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
// +kubebuilder:validation:XValidation:rule="(has(self.spec) && has(self.spec.identifier)) == (has(oldSelf.spec) && has(oldSelf.spec.identifier)) && (!has(self.spec) || !has(self.spec.identifier) || self.spec.identifier == oldSelf.spec.identifier)",message="spec.identifier is fixed when the OAuth2Resource is created, because issued tokens name it; create another OAuth2Resource for another identifier, and delete this one once no client requests it: its tokens end with it"
type OAuth2Resource struct {
	metav1.TypeMeta `json:",inline"`

	// metadata is the standard metadata of a Kubernetes object.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitzero"`

	// spec declares the API.
	// +optional
	Spec OAuth2ResourceSpec `json:"spec,omitzero"`

	// status is the observed state of the resource. Hallpass writes it and never uses it as
	// input.
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

// OAuth2ResourceSpec declares an API.
//
// +kubebuilder:validation:XValidation:rule="!has(self.grants) || self.grants.all(g, g.scopes.all(s, has(self.scopes) && self.scopes.exists(d, d.name == s)))",message="a grant gives a scope that spec.scopes does not define; add it there, or correct its name"
type OAuth2ResourceSpec struct {
	// identifier is the resource indicator (RFC 8707) of the API. Clients send it in token
	// requests, and it is the aud claim of their tokens. Defaults to
	// <issuer>/resources/<namespace>/<name>; status.identifier has the value. A chosen
	// identifier is an absolute https URI that an OAuth2Policy allows. The field cannot be
	// changed, set or removed after the resource is created. At most 255 characters.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=255
	// +kubebuilder:validation:XValidation:rule="self.matches('^https://[a-z0-9]([-a-z0-9]*[a-z0-9])?([.][a-z0-9]([-a-z0-9]*[a-z0-9])?)*(:[0-9]{1,5})?(/[-._~a-zA-Z0-9]*)*$') && !self.matches('/[.][.]?(/|$)') && !self.matches('//.*//')",message="identifier must be an absolute https URI such as https://orders.example.com/api; its host is lower-case ASCII without a dot at the end; its path has letters, digits, '-', '.', '_' and '~' only; it has no user, query or fragment"
	Identifier string `json:"identifier,omitempty"`

	// displayName is a name for people. kubectl get --output wide prints it, and the metadata
	// of the API (RFC 9728) contains it. At most 100 characters.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=100
	DisplayName string `json:"displayName,omitempty"`

	// scopes are the scopes of the API that can be granted. At most 64.
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=64
	Scopes []ResourceScope `json:"scopes,omitempty"`

	// grants define which clients may have which scopes. A client that no grant selects gets no
	// token, also if it is in the namespace of the API. If you remove a grant, no more tokens
	// with its scopes are issued, and introspection, forward-auth and ext_authz no longer
	// accept these scopes in issued tokens. At most 32.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=32
	Grants []ResourceGrant `json:"grants,omitempty"`

	// introspection lists the clients that may introspect tokens for this API. Defaults to all
	// clients of the namespace of the API.
	// +optional
	Introspection IntrospectionSpec `json:"introspection,omitzero"`

	// tokenLifetime is the maximum lifetime of a token for this API, from 1m to 1h, in whole
	// seconds. Defaults to 1h.
	// +optional
	// +kubebuilder:validation:XValidation:rule="!self.matches('^([0-9]{1,6}[hms])+$') || duration(self) >= duration('1m') && duration(self) <= duration('1h')",message="tokenLifetime must be between 1m and 1h in whole seconds, such as 30m"
	TokenLifetime Duration `json:"tokenLifetime,omitempty"`

	// maxFixedTokenLifetime is the maximum lifetime of an OAuth2Token with mode Fixed for this
	// API, measured from its creation. It may exceed tokenLifetime, but not the limits of the
	// installation and of OAuth2Policies. 0s forbids mode Fixed. If it is unset, clients of
	// other namespaces cannot have such tokens; for clients of the same namespace the limits of
	// the installation apply, and tokenLifetime limits such tokens too, if it is set. If you
	// lower the limit, existing tokens keep their expiration time; their condition WithinLimits
	// becomes False. (maxFixedTokenLifetime of an OAuth2Policy ends them.)
	// +optional
	MaxFixedTokenLifetime Duration `json:"maxFixedTokenLifetime,omitempty"`
}

// ResourceScope is one scope of an API.
type ResourceScope struct {
	// name is the name of the scope in token requests and tokens.
	// +required
	Name Scope `json:"name,omitempty"`

	// description is what the scope allows, for people. At most 500 characters.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=500
	Description string `json:"description,omitempty"`
}

// ResourceGrant grants scopes to clients.
type ResourceGrant struct {
	// from selects the clients.
	// +required
	From GrantSource `json:"from,omitzero"`

	// scopes are the granted scopes. spec.scopes must define each of them. At most 64.
	// +required
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=64
	Scopes []Scope `json:"scopes,omitempty"`

	// subjects are for whom the clients may act: Client, for themselves; User, for a person of
	// a trusted issuer; and Exchanged, for the subject of a token that was sent to them and
	// that they exchange for one of this API (RFC 8693). A token of a person can be exchanged
	// only where one grant lists both User and Exchanged. Defaults to Client. The token servers
	// check it each time that a token is used.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=3
	Subjects []GrantSubject `json:"subjects,omitempty"`
}

// GrantSubject is for whom a client may act.
//
// +kubebuilder:validation:Enum=Client;User;Exchanged
type GrantSubject string

// The subjects of a grant.
const (
	// SubjectClient is the client itself.
	SubjectClient GrantSubject = "Client"
	// SubjectUser is a person.
	SubjectUser GrantSubject = "User"
	// SubjectExchanged is the subject of a token that the client exchanges for another one.
	SubjectExchanged GrantSubject = "Exchanged"
)

// For reports whether the clients may act for a subject.
func (g ResourceGrant) For(subject GrantSubject) bool {
	if len(g.Subjects) == 0 {
		return subject == SubjectClient
	}
	return slices.Contains(g.Subjects, subject)
}

// GrantSource selects clients by namespace, and optionally by their labels. Set either namespaces
// or namespaceSelector.
//
// +kubebuilder:validation:MinProperties=1
// +kubebuilder:validation:XValidation:rule="has(self.namespaces) != has(self.namespaceSelector)",message="from needs either namespaces or namespaceSelector"
type GrantSource struct {
	// namespaces are the names of the namespaces of the clients. At most 64.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=64
	Namespaces []NamespaceName `json:"namespaces,omitempty"`

	// namespaceSelector selects the namespaces of the clients by their labels. Use only labels
	// that the installation protects (--protected-namespace-label). A grant with another label
	// has no effect, because the owner of a namespace could set that label.
	// +optional
	NamespaceSelector LabelMatch `json:"namespaceSelector,omitzero"`

	// clientSelector restricts the grant to clients with these labels. Defaults to all clients
	// of the selected namespaces. Every user who may create or update an OAuth2Client can set
	// its labels.
	// +optional
	ClientSelector LabelMatch `json:"clientSelector,omitzero"`
}

// NamespaceName is the name of a namespace.
//
// +kubebuilder:validation:MinLength=1
// +kubebuilder:validation:MaxLength=63
// +kubebuilder:validation:XValidation:rule="!format.dns1123Label().validate(self).hasValue()",message="the name of a namespace has lower-case letters, digits and '-' only"
type NamespaceName string

// LabelMatch selects objects by labels.
type LabelMatch struct {
	// matchLabels are the labels that an object must have, with these values. At most 8.
	// +required
	// +kubebuilder:validation:MinProperties=1
	// +kubebuilder:validation:MaxProperties=8
	// +kubebuilder:validation:XValidation:rule="self.all(k, !format.qualifiedName().validate(k).hasValue())",message="the name of a label is like app or example.com/app: letters, digits, '-', '_' and '.'"
	MatchLabels map[string]LabelValue `json:"matchLabels,omitempty"`
}

// IntrospectionSpec lists the clients that may introspect tokens for an API.
type IntrospectionSpec struct {
	// clients are the clients, by namespace and name. At most 64.
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
	// namespace is the namespace of the client.
	// +required
	Namespace NamespaceName `json:"namespace,omitempty"`

	// name is the name of the client.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name,omitempty"`
}

// OAuth2ResourceStatus is the observed state of an OAuth2Resource.
type OAuth2ResourceStatus struct {
	// observedGeneration is the metadata.generation that this status describes.
	// +optional
	// +kubebuilder:validation:Minimum=1
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`

	// identifier is the resource indicator of the API, and the aud claim of its tokens.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=1024
	Identifier string `json:"identifier,omitempty"`

	// clients is the number of clients that have at least one scope of the API.
	// +optional
	// +kubebuilder:validation:Minimum=0
	Clients *int32 `json:"clients,omitempty"`

	// scopes report the number of clients that have each scope. They are updated within
	// seconds.
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=64
	Scopes []ScopeHolders `json:"scopes,omitempty"`

	// scopeNames are the names of the scopes in status.scopes.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=64
	ScopeNames []Scope `json:"scopeNames,omitempty"`

	// conditions follow kstatus, so that kubectl wait can be used. Ready is True while tokens
	// are issued for the API. GrantsComplete is False while a scope or a grant has no effect.
	// +optional
	// +listType=map
	// +listMapKey=type
	// +kubebuilder:validation:MaxItems=8
	Conditions []metav1.Condition `json:"conditions,omitempty"`
}

// ScopeHolders is the number of clients that have a scope.
type ScopeHolders struct {
	// name is the name of the scope.
	// +required
	Name Scope `json:"name,omitempty"`

	// clients is the number of clients that have the scope.
	// +required
	// +kubebuilder:validation:Minimum=0
	Clients *int32 `json:"clients,omitempty"`
}
