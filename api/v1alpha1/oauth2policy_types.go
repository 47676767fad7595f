// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// OAuth2Policy sets ceilings for the namespaces that it selects. Several that select one namespace narrow each other; what
// none of them speaks of stays as the installation has it. A cluster without any has the installation's defaults everywhere.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:scope=Cluster,categories=hallpass
// +kubebuilder:printcolumn:name="Namespaces",type=integer,JSONPath=`.status.namespaces`
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Reason",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].reason`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
type OAuth2Policy struct {
	metav1.TypeMeta `json:",inline"`

	// metadata is the standard metadata of a Kubernetes object.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitzero"`

	// spec is the ceilings and where they hold.
	// +optional
	Spec OAuth2PolicySpec `json:"spec,omitzero"`

	// status is what Hallpass has made of it. Nothing reads it back as an input.
	// +optional
	Status OAuth2PolicyStatus `json:"status,omitzero"`
}

// OAuth2PolicyList is a list of OAuth2Policies.
//
// +kubebuilder:object:root=true
type OAuth2PolicyList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitzero"`
	Items           []OAuth2Policy `json:"items"`
}

// OAuth2PolicySpec is the ceilings and where they hold.
type OAuth2PolicySpec struct {
	// namespaceSelector selects the namespaces by their labels; left out it is every namespace. What a policy allows, chosen
	// identifiers and claims, it allows only where it selects by labels that the installation names as protected; what it forbids, it
	// forbids in any case.
	// +optional
	NamespaceSelector LabelMatch `json:"namespaceSelector,omitzero"`

	// authenticationMethods are those that clients may use; left out, all.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=3
	AuthenticationMethods []AuthenticationMethod `json:"authenticationMethods,omitempty"`

	// maxTokenLifetime is the longest that a token of a client may be valid, from 1m to 1h. A client that asks for more gets this.
	// +optional
	// +kubebuilder:validation:XValidation:rule="!self.matches('^([0-9]{1,6}[hms])+$') || duration(self) >= duration('1m') && duration(self) <= duration('1h')",message="maxTokenLifetime must be between 1m and 1h in whole seconds, such as 30m"
	MaxTokenLifetime Duration `json:"maxTokenLifetime,omitempty"`

	// maxFixedTokenLifetime is the longest that a token of an OAuth2Token with mode Fixed may be valid, from its creation on; 0s forbids
	// such tokens. Left out, the policy sets no limit, and it is as the installation has it. A token that is longer is refused, also one that was made before.
	// +optional
	MaxFixedTokenLifetime Duration `json:"maxFixedTokenLifetime,omitempty"`

	// maxClients is how many OAuth2Clients each namespace may have, from 0 to 100000; left out, it is as the installation has it. The
	// oldest ones come first, and those that are being deleted count until they are gone. One that was let in stays if the limit is
	// lowered, with the condition WithinLimits False.
	// +optional
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=100000
	MaxClients *int32 `json:"maxClients,omitempty"`

	// maxTokens is how many OAuth2Tokens each namespace may have, from 0 to 100000, by the rules of maxClients.
	// +optional
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=100000
	MaxTokens *int32 `json:"maxTokens,omitempty"`

	// maxResources is how many OAuth2Resources each namespace may have, from 0 to 100000, by the rules of maxClients.
	// +optional
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=100000
	MaxResources *int32 `json:"maxResources,omitempty"`

	// contacts is Required or Optional; left out it is Optional. Required refuses clients without spec.contacts. One that was let in
	// before goes on, with the condition WithinLimits False.
	// +optional
	Contacts ContactsRule `json:"contacts,omitempty"`

	// freeFormScopes is Allowed or Forbidden; left out it is Allowed. Forbidden takes away what clients list in spec.scopes: they
	// have the scopes of OAuth2Resources only.
	// +optional
	FreeFormScopes FreeFormScopes `json:"freeFormScopes,omitempty"`

	// reservedScopes are names that neither clients nor resources of these namespaces may use. At most 64.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=64
	ReservedScopes []Scope `json:"reservedScopes,omitempty"`

	// clientIDs are patterns of the client identifiers that clients may choose in spec.clientID. Left out, it is as the
	// installation has it, which is none unless it was told otherwise. At most 32.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=32
	ClientIDs []IdentifierPattern `json:"clientIDs,omitempty"`

	// resourceIdentifiers are patterns of the identifiers that resources may choose in spec.identifier, such as
	// https://*.shop.example.com/*. Left out, none. Identifiers under the issuer's own and the API server's audiences are never
	// allowed. At most 32.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=32
	ResourceIdentifiers []IdentifierPattern `json:"resourceIdentifiers,omitempty"`

	// claims are the claims that clients may set in spec.claims under a name without '/' and ':', such as tier or roles, with
	// the values that each may have. Left out, it is as the installation has it, which is none unless it was told otherwise. Claims whose
	// name has a '/' or ':' need no policy. At most 32.
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=32
	Claims []AllowedClaim `json:"claims,omitempty"`
}

// AllowedClaim is a claim that clients may set.
type AllowedClaim struct {
	// name of the claim, without '/' and ':'.
	// +required
	// +kubebuilder:validation:XValidation:rule="!self.contains('/') && !self.contains(':')",message="a claim whose name has a '/' or ':' needs no policy; list names without them"
	Name ClaimName `json:"name,omitempty"`

	// values are patterns, one of which has to fit each value of the claim. At most 32.
	// +required
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=32
	Values []ClaimPattern `json:"values,omitempty"`
}

// ClaimPattern is text in which each * stands for letters, digits and -_.:/@. A pattern with a * fits no value with a word that begins
// with system:, as the users and groups of Kubernetes do; such a value is listed by its full text.
//
// +kubebuilder:validation:MinLength=1
// +kubebuilder:validation:MaxLength=255
// +kubebuilder:validation:XValidation:rule="self.matches('^[ !#-[\\\\]-~]+$')",message="a pattern is printable ASCII without quotation marks and backslashes"
// +kubebuilder:validation:XValidation:rule="!(self.contains('*') && self.lowerAscii().matches('(^|[^-a-z0-9_.:/@])system:'))",message="a value with a word that begins with system: is listed by its full text, without *"
type ClaimPattern string

// ContactsRule says whether clients have to name contacts.
//
// +kubebuilder:validation:Enum=Required;Optional
type ContactsRule string

// Whether clients have to name contacts.
const (
	ContactsRequired ContactsRule = "Required"
	ContactsOptional ContactsRule = "Optional"
)

// FreeFormScopes says whether clients may have scopes that no resource declares.
//
// +kubebuilder:validation:Enum=Allowed;Forbidden
type FreeFormScopes string

// Whether clients may have free-form scopes.
const (
	FreeFormScopesAllowed   FreeFormScopes = "Allowed"
	FreeFormScopesForbidden FreeFormScopes = "Forbidden"
)

// IdentifierPattern is text in which each * stands for any characters but a slash, and one that is all there is after the last
// slash for the rest: https://*.example.com/* fits whatever is below those hosts.
//
// +kubebuilder:validation:MinLength=1
// +kubebuilder:validation:MaxLength=255
// +kubebuilder:validation:XValidation:rule="self.matches('^[!-~]+$')",message="a pattern is printable ASCII without spaces; * stands for any characters but a slash"
type IdentifierPattern string

// OAuth2PolicyStatus is what Hallpass has made of an OAuth2Policy.
type OAuth2PolicyStatus struct {
	// observedGeneration is the generation of the spec that this status speaks of.
	// +optional
	// +kubebuilder:validation:Minimum=1
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`

	// namespaces is how many namespaces it selects.
	// +optional
	// +kubebuilder:validation:Minimum=0
	Namespaces *int32 `json:"namespaces,omitempty"`

	// conditions are what kstatus and kubectl wait look at.
	// +optional
	// +listType=map
	// +listMapKey=type
	// +kubebuilder:validation:MaxItems=8
	Conditions []metav1.Condition `json:"conditions,omitempty"`
}
