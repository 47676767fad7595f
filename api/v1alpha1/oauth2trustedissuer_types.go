// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// OAuth2TrustedIssuer is an issuer outside of Hallpass, such as a CI platform or another cluster,
// whose JWTs authenticate OAuth2Clients of method FederatedToken, or the identity provider at which
// people log in. Only a cluster administrator should be able to create one.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:scope=Cluster,shortName=hpi,categories=hallpass
// +kubebuilder:printcolumn:name="Issuer",type=string,JSONPath=`.spec.issuer`
// +kubebuilder:printcolumn:name="Uses",type=string,JSONPath=`.spec.uses`
// +kubebuilder:printcolumn:name="Clients",type=integer,JSONPath=`.status.clients`
// +kubebuilder:printcolumn:name="Keys Age",type=date,JSONPath=`.status.fetchedAt`
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Reason",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].reason`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:printcolumn:name="Display Name",type=string,priority=1,JSONPath=`.spec.displayName`
// +kubebuilder:printcolumn:name="Trust Domain",type=string,priority=1,JSONPath=`.spec.spiffe.trustDomain`
//
// +kubebuilder:validation:XValidation:rule="self.metadata.name.size() <= 63 && !self.metadata.name.contains('.')",message="metadata.name is at most 63 characters without dots"
type OAuth2TrustedIssuer struct {
	metav1.TypeMeta `json:",inline"`

	// metadata is the standard metadata of a Kubernetes object.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitzero"`

	// spec configures the issuer, and which namespaces may use it.
	// +required
	Spec OAuth2TrustedIssuerSpec `json:"spec,omitzero"`

	// status is the observed state of the issuer. Hallpass writes it and never uses it as
	// input.
	// +optional
	Status OAuth2TrustedIssuerStatus `json:"status,omitzero"`
}

// OAuth2TrustedIssuerList is a list of OAuth2TrustedIssuers.
//
// +kubebuilder:object:root=true
type OAuth2TrustedIssuerList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitzero"`
	Items           []OAuth2TrustedIssuer `json:"items"`
}

// OAuth2TrustedIssuerSpec configures an issuer, and which namespaces may use it.
//
// +kubebuilder:validation:XValidation:rule="!has(self.login) || 'Person' in self.uses",message="login needs Person in uses"
// +kubebuilder:validation:XValidation:rule="(has(self.type) && self.type == 'SPIFFE') == (has(oldSelf.type) && oldSelf.type == 'SPIFFE')",message="type cannot be changed, because clients are bound to it; create another OAuth2TrustedIssuer"
// +kubebuilder:validation:XValidation:rule="(has(self.type) && self.type == 'SPIFFE') != has(self.issuer)",message="issuer belongs to type OIDC, and that type needs it"
// +kubebuilder:validation:XValidation:rule="(has(self.type) && self.type == 'SPIFFE') == has(self.spiffe)",message="spiffe belongs to type SPIFFE, and that type needs it"
// +kubebuilder:validation:XValidation:rule="!has(self.spiffe) || !('Person' in self.uses)",message="JWT-SVIDs name no persons: leave out Person in uses"
// +kubebuilder:validation:XValidation:rule="!has(self.spiffe) || has(self.keys) && has(self.keys.source) && self.keys.source != 'Discovery'",message="type SPIFFE needs keys.source URL (an https_web bundle endpoint), Inline or ConfigMap"
// +kubebuilder:validation:XValidation:rule="!has(self.spiffe) || !has(self.reuse) || self.reuse != 'Once'",message="JWT-SVIDs need no jti, so reuse cannot be Once"
// +kubebuilder:validation:XValidation:rule="(has(self.login) && has(self.login.subjectClaim) ? self.login.subjectClaim : 'sub') == (has(oldSelf.login) && has(oldSelf.login.subjectClaim) ? oldSelf.login.subjectClaim : 'sub')",message="login.subjectClaim cannot be changed, because the people that it names would become others, also by adding or removing login; create another OAuth2TrustedIssuer"
type OAuth2TrustedIssuerSpec struct {
	// displayName is a name for people. kubectl get --output wide prints it, and the pages on
	// which people log in show it. At most 100 characters.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=100
	DisplayName string `json:"displayName,omitempty"`

	// type is OIDC or SPIFFE. OIDC is an issuer of JWTs with an iss claim. SPIFFE is a trust
	// domain whose workloads have JWT-SVIDs. Defaults to OIDC. The field cannot be changed.
	// +optional
	Type IssuerType `json:"type,omitempty"`

	// issuer is the iss claim of the JWTs with type OIDC, which requires it, compared byte for
	// byte: an https URL without query, fragment and user. Two OAuth2TrustedIssuers with one
	// issuer are in conflict: the older one is used. The field cannot be changed. At most 255
	// characters.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=255
	// +kubebuilder:validation:XValidation:rule="self.matches('^https://[a-z0-9]([-a-z0-9]*[a-z0-9])?([.][a-z0-9]([-a-z0-9]*[a-z0-9])?)*(:[0-9]{1,5})?(/[-._~a-zA-Z0-9]*)*$')",message="issuer is an https URL such as https://gitlab.example.com: its host in lower-case ASCII without a user and without a dot at the end, its path in letters, digits, '-', '.', '_' and '~', and neither query nor fragment"
	// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="issuer cannot be changed, because clients are bound to it; create another OAuth2TrustedIssuer"
	Issuer string `json:"issuer,omitempty"`

	// spiffe is the trust domain with type SPIFFE, which requires it. The sub claim of its
	// JWT-SVIDs is a SPIFFE ID of the trust domain.
	// +optional
	SPIFFE IssuerSPIFFESpec `json:"spiffe,omitzero"`

	// uses are what the JWTs of the issuer are trusted for. Client means that they authenticate
	// OAuth2Clients. Person means that they name the person for whom an OAuth2Client acts; the
	// client authenticates by something else. No use follows from the other one.
	// +required
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=2
	Uses []IssuerUse `json:"uses,omitempty"`

	// keys configure where the public keys of the issuer come from. Defaults to the discovery
	// document of the issuer.
	// +optional
	Keys IssuerKeysSpec `json:"keys,omitzero"`

	// caBundle are the certificate authorities that verify the certificate of the issuer, in
	// PEM, for the keys and for login. Defaults to those of the image. At most 65536 bytes.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=65536
	CABundle []byte `json:"caBundle,omitempty"`

	// allowedCIDRs are the private addresses that the manager may connect to for the keys, and
	// login for the logins. By default they connect to public addresses only. Loopback,
	// link-local and multicast addresses are never allowed. At most 16.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=16
	AllowedCIDRs []CIDR `json:"allowedCIDRs,omitempty"`

	// algorithms are the signature algorithms of the JWTs. Defaults to all: RS256, ES256, PS256
	// and EdDSA. Ed25519 (RFC 9864) is another name of EdDSA; each of them allows both.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=5
	Algorithms []IssuerAlgorithm `json:"algorithms,omitempty"`

	// audiences are the values of the aud claim of which a JWT must have exactly one, and no
	// other value. Defaults to the issuer URL of Hallpass. Set it only if the platform cannot
	// put that URL into its JWTs: another server with that audience could pass the JWT on. At
	// most 8.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=8
	Audiences []IssuerAudience `json:"audiences,omitempty"`

	// maxTokenLifetime is the maximum time from iat to exp of a JWT, from 1m to 24h, in whole
	// seconds. Defaults to 1h.
	// +optional
	// +kubebuilder:validation:XValidation:rule="!self.matches('^([0-9]{1,6}[hms])+$') || duration(self) >= duration('1m') && duration(self) <= duration('24h')",message="maxTokenLifetime must be between 1m and 24h in whole seconds, such as 1h"
	MaxTokenLifetime Duration `json:"maxTokenLifetime,omitempty"`

	// reuse is UntilExpired or Once. Defaults to UntilExpired. With Once each JWT is accepted
	// once, and needs a jti. JWT-SVIDs of SPIFFE cannot be accepted once.
	// +optional
	Reuse IssuerReuse `json:"reuse,omitempty"`

	// namespaces are the namespaces whose OAuth2Clients may name this issuer, and what their
	// JWTs must have. By default no namespace may. A JWT has to match one entry for the
	// namespace of its client. At most 32.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=32
	Namespaces []IssuerNamespaces `json:"namespaces,omitempty"`

	// login lets people log in at the issuer for OAuth2Clients with the grant type
	// AuthorizationCode. It needs Person in uses, and the login of Hallpass, which is not
	// installed by default. Without it the refresh tokens of earlier logins are refused.
	// +optional
	Login IssuerLoginSpec `json:"login,omitzero"`

	// state is Active or Suspended. Defaults to Active. The JWTs of a suspended issuer are
	// refused. Tokens that were issued before are valid until they expire.
	// +optional
	State IssuerState `json:"state,omitempty"`
}

// IssuerUse is what the JWTs of an issuer are trusted for.
//
// +kubebuilder:validation:Enum=Client;Person
type IssuerUse string

// The uses of an issuer.
const (
	// IssuerClient trusts JWTs to authenticate OAuth2Clients.
	IssuerClient IssuerUse = "Client"
	// IssuerPerson trusts JWTs to name the person for whom an OAuth2Client acts.
	IssuerPerson IssuerUse = "Person"
)

// IssuerKeysSpec configures where the keys of an issuer come from.
//
// +kubebuilder:validation:MinProperties=1
// +kubebuilder:validation:XValidation:rule="(has(self.source) && self.source == 'URL') == has(self.url)",message="url belongs to source URL, and that source needs it"
// +kubebuilder:validation:XValidation:rule="(has(self.source) && self.source == 'Inline') == has(self.jwks)",message="jwks belongs to source Inline, and that source needs it"
// +kubebuilder:validation:XValidation:rule="(has(self.source) && self.source == 'ConfigMap') == has(self.configMap)",message="configMap belongs to source ConfigMap, and that source needs it"
// +kubebuilder:validation:XValidation:rule="!(has(self.source) && self.source == 'Inline' && has(self.maxAge))",message="maxAge is for keys that are fetched; Inline keys have no age"
type IssuerKeysSpec struct {
	// source is Discovery, URL, Inline or ConfigMap. Defaults to Discovery. With Discovery the
	// manager fetches <issuer>/.well-known/openid-configuration every minute, and the keys from
	// the jwks_uri in it. A trust domain of SPIFFE has no discovery document; its keys are
	// those with use jwt-svid of its bundle.
	// +optional
	Source IssuerKeysSource `json:"source,omitempty"`

	// url is the address of the JWK set (RFC 7517) with source URL, which requires it: an https
	// URL. For SPIFFE it is the bundle endpoint, with the profile https_web. At most 512
	// characters.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=512
	// +kubebuilder:validation:XValidation:rule="self.matches('^https://[a-zA-Z0-9.-]+(:[0-9]{1,5})?(/[!-\"$->@-~]*)?([?][!-\"$-~]*)?$')",message="url is an https URL without a user and a fragment, such as https://issuer.example.com/keys"
	URL string `json:"url,omitempty"`

	// jwks is the JWK set (RFC 7517) with source Inline, which requires it, as a JSON string
	// with public keys. Nothing is fetched then. At most 65536 characters.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=65536
	// +kubebuilder:validation:XValidation:rule="!self.matches('\"(d|p|q|dp|dq|qi|oth|k)\"\\\\s*:')",message="jwks must hold public keys only: it has a private member (d, p, q, dp, dq, qi, oth or k); replace that key, because others have seen it"
	JWKS string `json:"jwks,omitempty"`

	// configMap names the ConfigMap that has the JWK set (RFC 7517) with source ConfigMap,
	// which requires it. The manager reads it every minute.
	// +optional
	ConfigMap IssuerConfigMap `json:"configMap,omitzero"`

	// maxAge is how long the keys are used after the last time that they could be fetched, from
	// 1h to 720h. Defaults to 24h. A key that the issuer no longer publishes is not used any
	// more from the next fetch on.
	// +optional
	// +kubebuilder:validation:XValidation:rule="!self.matches('^([0-9]{1,6}[hms])+$') || duration(self) >= duration('1h') && duration(self) <= duration('720h')",message="maxAge must be between 1h and 720h in whole seconds, such as 24h"
	MaxAge Duration `json:"maxAge,omitempty"`
}

// IssuerConfigMap names an entry of a ConfigMap in the namespace of the manager, hallpass-system
// unless it was renamed.
type IssuerConfigMap struct {
	// name is the name of the ConfigMap.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name,omitempty"`

	// key is the entry that has the JWK set, of at most 64 KiB.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Key string `json:"key,omitempty"`
}

// IssuerKeysSource is where the keys of an issuer come from.
//
// +kubebuilder:validation:Enum=Discovery;URL;Inline;ConfigMap
type IssuerKeysSource string

// The sources of keys.
const (
	// KeysByDiscovery is also the source of an issuer that names none.
	KeysByDiscovery IssuerKeysSource = "Discovery"
	KeysByURL       IssuerKeysSource = "URL"
	KeysInline      IssuerKeysSource = "Inline"
	KeysInConfigMap IssuerKeysSource = "ConfigMap"
)

// CIDR is a range of addresses, such as 10.20.0.0/16.
//
// +kubebuilder:validation:MinLength=1
// +kubebuilder:validation:MaxLength=49
// +kubebuilder:validation:XValidation:rule="isCIDR(self)",message="a range of addresses is written like 10.20.0.0/16 or fd00:1::/32"
type CIDR string

// IssuerAlgorithm is an algorithm that signs the JWTs of an issuer.
//
// +kubebuilder:validation:Enum=RS256;ES256;PS256;EdDSA;Ed25519
type IssuerAlgorithm string

// IssuerAudience is a value of the aud claim.
//
// +kubebuilder:validation:MinLength=1
// +kubebuilder:validation:MaxLength=255
// +kubebuilder:validation:XValidation:rule="self.matches('^[!-~]+$')",message="an audience is printable ASCII without spaces"
type IssuerAudience string

// IssuerReuse is whether a JWT is accepted more than once.
//
// +kubebuilder:validation:Enum=UntilExpired;Once
type IssuerReuse string

// Whether a JWT is accepted more than once.
const (
	ReuseUntilExpired IssuerReuse = "UntilExpired"
	ReuseOnce         IssuerReuse = "Once"
)

// IssuerState is whether the JWTs of an issuer are accepted.
//
// +kubebuilder:validation:Enum=Active;Suspended
type IssuerState string

// The states of an OAuth2TrustedIssuer.
const (
	IssuerActive    IssuerState = "Active"
	IssuerSuspended IssuerState = "Suspended"
)

// IssuerNamespaces lets the clients of namespaces use an issuer.
type IssuerNamespaces struct {
	// from selects the namespaces.
	// +required
	From NamespaceSource `json:"from,omitzero"`

	// subjectPrefixes are beginnings of the sub claim, of which a JWT must have one, such as
	// repo:acme/. Each ends in ':' or '/'. By default the sub claim may have any value. At most
	// 16.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=16
	SubjectPrefixes []SubjectPrefix `json:"subjectPrefixes,omitempty"`

	// claims are claims that every JWT must have, each with one of the values. At most 16.
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=16
	Claims []RequiredClaim `json:"claims,omitempty"`
}

// NamespaceSource selects namespaces. Set either namespaces or namespaceSelector.
//
// +kubebuilder:validation:MinProperties=1
// +kubebuilder:validation:XValidation:rule="has(self.namespaces) != has(self.namespaceSelector)",message="from needs either namespaces or namespaceSelector"
type NamespaceSource struct {
	// namespaces are the names of the namespaces. At most 64.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=64
	Namespaces []NamespaceName `json:"namespaces,omitempty"`

	// namespaceSelector selects namespaces by their labels. An entry with a label that the
	// installation does not protect (--protected-namespace-label) has no effect, because the
	// owner of a namespace could set that label.
	// +optional
	NamespaceSelector LabelMatch `json:"namespaceSelector,omitzero"`
}

// SubjectPrefix is the beginning of a subject.
//
// +kubebuilder:validation:MinLength=2
// +kubebuilder:validation:MaxLength=255
// +kubebuilder:validation:XValidation:rule="self.endsWith(':') || self.endsWith('/')",message="a prefix ends in ':' or '/', such as repo:acme/shop: because repo:acme/shop also begins the subjects of repo:acme/shop-of-another"
// +kubebuilder:validation:XValidation:rule="self.matches('^[ -~]+$')",message="a prefix is printable ASCII"
type SubjectPrefix string

// RequiredClaim is a claim that a JWT must have, with one of the values.
type RequiredClaim struct {
	// name is the name of the claim at the top level of the JWT. iss, sub, aud, exp, nbf and
	// iat have rules of their own and cannot be listed.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=128
	// +kubebuilder:validation:XValidation:rule="!(self in ['iss', 'sub', 'aud', 'exp', 'nbf', 'iat'])",message="iss, sub, aud, exp, nbf and iat have rules of their own and cannot be listed in claims"
	// +kubebuilder:validation:XValidation:rule="self.matches('^[ -~]+$')",message="the name of a claim is printable ASCII"
	Name string `json:"name,omitempty"`

	// values are compared exactly with the claim, which is a string. A claim that is a whole
	// number, true or false is compared in its JSON form. At most 16.
	// +required
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=16
	Values []RequiredValue `json:"values,omitempty"`
}

// RequiredValue is the value of a claim.
//
// +kubebuilder:validation:MinLength=1
// +kubebuilder:validation:MaxLength=255
// +kubebuilder:validation:XValidation:rule="self.matches('^[ -~]+$')",message="the value of a claim is printable ASCII"
type RequiredValue string
