// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// OAuth2Policy limits what the OAuth2Clients, OAuth2Tokens and OAuth2Resources of the selected
// namespaces may have. If several policies select a namespace, the strictest limit applies. An
// unset field sets no limit, and the defaults of the installation apply.
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

	// spec configures the limits, and the namespaces to which they apply.
	// +optional
	Spec OAuth2PolicySpec `json:"spec,omitzero"`

	// status is the observed state of the policy. Hallpass writes it and never uses it as
	// input.
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

// OAuth2PolicySpec configures limits, and the namespaces to which they apply.
type OAuth2PolicySpec struct {
	// namespaceSelector selects namespaces by their labels. Defaults to all namespaces. Limits
	// always apply. What permits something (clientIDs, redirectURIs, resourceIdentifiers,
	// claims, FederatedToken and None in authenticationMethods, TokenExchange and
	// AuthorizationCode in grantTypes, and maxRefreshLifetime beyond 8h) has an effect only if
	// every label of the selector is protected by the installation
	// (--protected-namespace-label), because the owner of a namespace can set labels that are
	// not protected.
	// +optional
	NamespaceSelector LabelMatch `json:"namespaceSelector,omitzero"`

	// authenticationMethods are the methods that clients may use. If unset, the policy allows
	// ClientSecret, PrivateKeyJWT and ServiceAccount. FederatedToken and None are each allowed
	// only if a policy lists it, and every other policy that sets the field lists it, too.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=5
	AuthenticationMethods []AuthenticationMethod `json:"authenticationMethods,omitempty"`

	// grantTypes are the grant types that clients may use. If unset, the policy allows
	// ClientCredentials and JWTBearer. TokenExchange and AuthorizationCode are each allowed
	// only where a policy lists it that selects namespaces by protected labels.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=4
	GrantTypes []GrantType `json:"grantTypes,omitempty"`

	// redirectURIs are patterns for spec.redirectURIs of clients, such as
	// https://*.shop.example.com/*. If unset, the policy allows none. A pattern without a port
	// allows each port of localhost, 127.0.0.1 and [::1]. At most 32.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=32
	RedirectURIs []RedirectURIPattern `json:"redirectURIs,omitempty"`

	// maxRefreshLifetime is the maximum of spec.refreshTokens.lifetime of clients, from 5m to
	// 2160h. If no policy sets it, the maximum is 8h. A client that asks for more gets refresh
	// tokens with this lifetime.
	// +optional
	// +kubebuilder:validation:XValidation:rule="!self.matches('^([0-9]{1,6}[hms])+$') || duration(self) >= duration('5m') && duration(self) <= duration('2160h')",message="maxRefreshLifetime must be between 5m and 2160h (90 days) in whole seconds, such as 24h"
	MaxRefreshLifetime Duration `json:"maxRefreshLifetime,omitempty"`

	// maxTokenLifetime is the maximum lifetime of a token of an OAuth2Client, from 1m to 1h. If
	// unset, the policy sets no limit. A client that asks for more gets tokens with this
	// lifetime.
	// +optional
	// +kubebuilder:validation:XValidation:rule="!self.matches('^([0-9]{1,6}[hms])+$') || duration(self) >= duration('1m') && duration(self) <= duration('1h')",message="maxTokenLifetime must be between 1m and 1h in whole seconds, such as 30m"
	MaxTokenLifetime Duration `json:"maxTokenLifetime,omitempty"`

	// maxFixedTokenLifetime is the maximum lifetime of an OAuth2Token with mode Fixed, measured
	// from its creation. 0s forbids mode Fixed. If unset, the limit of the installation
	// applies. Hallpass issues no token that would be valid for longer, and ends such a token
	// even if it is older than the policy. (maxFixedTokenLifetime of an OAuth2Resource ends no
	// tokens.)
	// +optional
	MaxFixedTokenLifetime Duration `json:"maxFixedTokenLifetime,omitempty"`

	// maxClients is the maximum number of OAuth2Clients in each namespace, from 0 to 100000. If
	// unset, the limit of the installation applies. The oldest clients are accepted first;
	// clients that are being deleted count until they are deleted. If you lower the limit,
	// accepted clients keep working; their condition WithinLimits becomes False.
	// +optional
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=100000
	MaxClients *int32 `json:"maxClients,omitempty"`

	// maxTokens is the maximum number of OAuth2Tokens in each namespace, from 0 to 100000. It
	// works like maxClients.
	// +optional
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=100000
	MaxTokens *int32 `json:"maxTokens,omitempty"`

	// maxResources is the maximum number of OAuth2Resources in each namespace, from 0 to
	// 100000. It works like maxClients.
	// +optional
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=100000
	MaxResources *int32 `json:"maxResources,omitempty"`

	// contacts is Required or Optional. Defaults to Optional. With Required, a client without
	// spec.contacts is refused. A client that was accepted before the policy keeps working; its
	// condition WithinLimits becomes False.
	// +optional
	Contacts ContactsRule `json:"contacts,omitempty"`

	// freeFormScopes is Allowed or Forbidden. Defaults to Allowed. With Forbidden, scopes in
	// spec.scopes of clients are not granted, and clients get scopes of OAuth2Resources only.
	// +optional
	FreeFormScopes FreeFormScopes `json:"freeFormScopes,omitempty"`

	// reservedScopes are names of scopes that the clients and resources of the selected
	// namespaces may not use. At most 64.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=64
	ReservedScopes []Scope `json:"reservedScopes,omitempty"`

	// clientIDs are patterns for the identifiers that clients may choose in spec.clientID. If
	// unset, the setting of the installation applies; by default none is allowed. A value with
	// a colon or a %, or of the form a.b, has to be listed in full: no pattern with * allows
	// it. At most 32.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=32
	ClientIDs []IdentifierPattern `json:"clientIDs,omitempty"`

	// resourceIdentifiers are patterns for the identifiers that resources may choose in
	// spec.identifier, such as https://*.shop.example.com/*. If unset, none is allowed. Two
	// kinds are never allowed: identifiers below the issuer URL, and the audiences of the
	// Kubernetes API server. At most 32.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=32
	ResourceIdentifiers []IdentifierPattern `json:"resourceIdentifiers,omitempty"`

	// claims lists which claims the clients may set in spec.claims of an OAuth2Client, and to
	// which values. It is about names without '/' and ':', such as tier or roles. If unset, the
	// setting of the installation applies; by default none is allowed. Names with a '/' or ':'
	// need no policy. At most 32.
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=32
	Claims []AllowedClaim `json:"claims,omitempty"`
}

// AllowedClaim is a claim that clients may set, with its allowed values.
type AllowedClaim struct {
	// name is the name of the claim, without '/' and ':'.
	// +required
	// +kubebuilder:validation:XValidation:rule="!self.contains('/') && !self.contains(':')",message="a claim whose name has a '/' or ':' needs no policy; list names without them"
	Name ClaimName `json:"name,omitempty"`

	// values are patterns: each * stands for letters, digits and -_.:/@. Every value of the
	// claim must match one of the patterns. At most 32.
	// +required
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=32
	Values []ClaimPattern `json:"values,omitempty"`
}

// ClaimPattern is a pattern for a value. Each * matches any letters, digits and the characters
// -_.:/@. A pattern with a * never matches a value with system: at the beginning of a word, because
// this is the prefix of Kubernetes users and groups; list such a value in full.
//
// +kubebuilder:validation:MinLength=1
// +kubebuilder:validation:MaxLength=255
// +kubebuilder:validation:XValidation:rule="self.matches('^[ !#-[\\\\]-~]+$')",message="a pattern is printable ASCII without quotation marks and backslashes"
// +kubebuilder:validation:XValidation:rule="!(self.contains('*') && self.lowerAscii().matches('(^|[^-a-z0-9_.:/@])system:'))",message="a pattern with a * must not have system: at the beginning of a word; list such a value in full"
type ClaimPattern string

// ContactsRule is whether clients require contacts.
//
// +kubebuilder:validation:Enum=Required;Optional
type ContactsRule string

// Whether clients have to name contacts.
const (
	ContactsRequired ContactsRule = "Required"
	ContactsOptional ContactsRule = "Optional"
)

// FreeFormScopes is whether clients may have scopes that no OAuth2Resource defines.
//
// +kubebuilder:validation:Enum=Allowed;Forbidden
type FreeFormScopes string

// Whether clients may have free-form scopes.
const (
	FreeFormScopesAllowed   FreeFormScopes = "Allowed"
	FreeFormScopesForbidden FreeFormScopes = "Forbidden"
)

// IdentifierPattern is a pattern for an identifier. Each * matches any characters except a slash. A
// * that follows the last slash matches the whole rest: https://*.example.com/* matches all paths
// on those hosts.
//
// +kubebuilder:validation:MinLength=1
// +kubebuilder:validation:MaxLength=255
// +kubebuilder:validation:XValidation:rule="self.matches('^[!-~]+$')",message="a pattern is printable ASCII without spaces; * stands for any characters but a slash"
type IdentifierPattern string

// RedirectURIPattern is a pattern for a redirect URI. It begins with the scheme, in full. Each *
// after it matches any characters except a slash. A * that follows the last slash matches the whole
// rest: https://*.example.com/* matches all paths on those hosts, and cursor://* all URIs of the
// scheme cursor.
//
// +kubebuilder:validation:MinLength=1
// +kubebuilder:validation:MaxLength=512
// +kubebuilder:validation:XValidation:rule="self.matches('^[a-z][-+.a-z0-9]*:/[!-~]*$')",message="a pattern is printable ASCII without spaces that begins with a scheme in full, such as https://*.example.com/* or com.example.shop:/*"
type RedirectURIPattern string

// OAuth2PolicyStatus is the observed state of an OAuth2Policy.
type OAuth2PolicyStatus struct {
	// observedGeneration is the metadata.generation that this status describes.
	// +optional
	// +kubebuilder:validation:Minimum=1
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`

	// namespaces is the number of namespaces that the policy selects.
	// +optional
	// +kubebuilder:validation:Minimum=0
	Namespaces *int32 `json:"namespaces,omitempty"`

	// conditions follow kstatus, so that kubectl wait can be used. Ready is True while the
	// policy is in force.
	// +optional
	// +listType=map
	// +listMapKey=type
	// +kubebuilder:validation:MaxItems=8
	Conditions []metav1.Condition `json:"conditions,omitempty"`
}
