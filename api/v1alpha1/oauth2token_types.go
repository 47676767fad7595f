// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// OAuth2Token is a bearer token for software that cannot fetch tokens itself. Hallpass issues the
// token to an OAuth2Client in the same namespace and writes it into a Secret there. Deleting the
// OAuth2Token revokes the token.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:shortName=hpt,categories=hallpass
// +kubebuilder:printcolumn:name="Client",type=string,JSONPath=`.spec.clientRef.name`
// +kubebuilder:printcolumn:name="Mode",type=string,JSONPath=`.spec.mode`
// +kubebuilder:printcolumn:name="Expires",type=string,JSONPath=`.status.expiresAt`
// +kubebuilder:printcolumn:name="Last Used",type=date,JSONPath=`.status.lastUsedAt`
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Reason",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].reason`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:printcolumn:name="Secret",type=string,priority=1,JSONPath=`.status.secret.name`
// +kubebuilder:printcolumn:name="Resource",type=string,priority=1,JSONPath=`.status.audience`
// +kubebuilder:printcolumn:name="Scopes",type=string,priority=1,JSONPath=`.status.scopes`
type OAuth2Token struct {
	metav1.TypeMeta `json:",inline"`

	// metadata is the standard metadata of a Kubernetes object.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitzero"`

	// spec configures the token.
	// +required
	Spec OAuth2TokenSpec `json:"spec,omitzero"`

	// status is the observed state of the token. Hallpass writes it and never uses it as input.
	// +optional
	Status OAuth2TokenStatus `json:"status,omitzero"`
}

// OAuth2TokenList is a list of OAuth2Tokens.
//
// +kubebuilder:object:root=true
type OAuth2TokenList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitzero"`
	Items           []OAuth2Token `json:"items"`
}

// OAuth2TokenSpec configures a token.
//
// +kubebuilder:validation:XValidation:rule="(self.mode == 'Fixed') == has(self.expirationTime)",message="set expirationTime if and only if mode is Fixed; a Refreshing token is renewed as long as its OAuth2Token exists"
// +kubebuilder:validation:XValidation:rule="self.mode == oldSelf.mode",message="mode cannot be changed; create another OAuth2Token, and delete this one, to revoke its token"
// +kubebuilder:validation:XValidation:rule="self.mode != 'Fixed' || self.clientRef == oldSelf.clientRef && has(self.scopes) == has(oldSelf.scopes) && (!has(self.scopes) || self.scopes == oldSelf.scopes) && has(self.resource) == has(oldSelf.resource) && (!has(self.resource) || self.resource == oldSelf.resource) && self.expirationTime == oldSelf.expirationTime",message="clientRef, scopes, resource and expirationTime of a Fixed token cannot be changed, because that token is already in use; create another OAuth2Token, and delete this one, to revoke its token"
type OAuth2TokenSpec struct {
	// clientRef is the OAuth2Client to which the token is issued. It must use the method
	// ClientSecret. The other methods exist so that a client has no credential that can be
	// copied, so Hallpass writes no token for such a client into a Secret.
	// +required
	ClientRef LocalClientReference `json:"clientRef,omitzero"`

	// mode is Refreshing or Fixed, and cannot be changed. A Refreshing token is replaced in the
	// Secret long before it expires; use it for software that reads a file again. A Fixed token
	// is valid until expirationTime and is never replaced; use it for software into which a
	// person copies the token. A Fixed token is opaque: an API verifies it by introspection,
	// forward-auth or ext_authz.
	// +required
	Mode TokenMode `json:"mode,omitempty"`

	// expirationTime is the time at which a Fixed token expires; mode Fixed requires it. It
	// cannot be changed. By default it can be at most 90 days after the creation of the
	// OAuth2Token. The installation, an OAuth2Policy or the owner of the resource can set
	// another limit.
	// +optional
	ExpirationTime *metav1.Time `json:"expirationTime,omitempty"`

	// scopes are the scopes of the token. Defaults to all scopes that the client is granted at
	// the resource. At most 64.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=64
	Scopes []Scope `json:"scopes,omitempty"`

	// resource is the resource indicator that the token is for, such as status.identifier of an
	// OAuth2Resource. Defaults to the default resource of the client.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=1024
	// +kubebuilder:validation:XValidation:rule="self.matches('^[!-~]+$')",message="resource is a resource indicator: an absolute URI, such as status.identifier of an OAuth2Resource"
	Resource string `json:"resource,omitempty"`

	// description is a note for people, such as who uses the token and why. At most 2000
	// characters.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=2000
	Description string `json:"description,omitempty"`

	// secret configures the Secret with the token.
	// +optional
	Secret TokenSecretSpec `json:"secret,omitzero"`
}

// LocalClientReference names an OAuth2Client in the same namespace.
type LocalClientReference struct {
	// name is the name of the OAuth2Client.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name,omitempty"`
}

// TokenMode is whether a token is replaced before it expires.
//
// +kubebuilder:validation:Enum=Refreshing;Fixed
type TokenMode string

// The modes of an OAuth2Token.
const (
	// TokenRefreshing is a token that is replaced before it expires.
	TokenRefreshing TokenMode = "Refreshing"
	// TokenFixed is one token with a chosen end.
	TokenFixed TokenMode = "Fixed"
)

// TokenSecretSpec configures the Secret with a token. The Secret has the type
// hallpass.dev/oauth2-token.
type TokenSecretSpec struct {
	// name is the name of the Secret in the same namespace. Defaults to the name of the
	// OAuth2Token. Hallpass does not change a Secret of that name that belongs to another
	// owner.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:XValidation:rule="!format.dns1123Subdomain().validate(self).hasValue()",message="secret.name must be a valid Secret name: lower-case letters, digits, '-' and '.'"
	Name string `json:"name,omitempty"`

	// keys renames entries of the Secret, for software that expects other names.
	// +optional
	Keys TokenSecretKeys `json:"keys,omitzero"`

	// template adds entries that are rendered from the others. $(token), $(token_type),
	// $(expires_at), $(authorization) and $(ca.crt) are replaced by the values, also if their
	// entries are renamed by keys. Write $$ for a dollar sign. At most 8 entries of 4096
	// characters each.
	// +optional
	Template SecretTemplate `json:"template,omitempty"`

	// labels are added to the Secret. Labels that you remove here are removed from the Secret.
	// Labels of the domains kubernetes.io, k8s.io and hallpass.dev cannot be set, except four
	// of app.kubernetes.io/: name, component, part-of and version. At most 16.
	// +optional
	Labels SecretLabels `json:"labels,omitempty"`

	// annotations are added to the Secret. Annotations that you remove here are removed from
	// the Secret. Annotations of the domains kubernetes.io, k8s.io and hallpass.dev cannot be
	// set. At most 16, each of at most 1024 characters.
	// +optional
	Annotations SecretAnnotations `json:"annotations,omitempty"`
}

// TokenSecretKeys renames the entries of the Secret of a token. All entries must have different
// names.
//
// +kubebuilder:validation:MinProperties=1
// +kubebuilder:validation:XValidation:rule="[[has(self.token) ? self.token : 'token', has(self.tokenType) ? self.tokenType : 'token_type', has(self.expiresAt) ? self.expiresAt : 'expires_at', has(self.authorization) ? self.authorization : 'authorization', has(self.caCertificate) ? self.caCertificate : 'ca.crt']].all(names, names.all(name, names.exists_one(other, other == name)))",message="two entries of the Secret would have the same name; entries that secret.keys does not rename keep their default names"
type TokenSecretKeys struct {
	// token is the name of the entry with the token. Defaults to token.
	// +optional
	Token SecretKey `json:"token,omitempty"`

	// tokenType is the name of the entry with the word Bearer. Defaults to token_type.
	// +optional
	TokenType SecretKey `json:"tokenType,omitempty"`

	// expiresAt is the name of the entry with the expiration time of the token (RFC 3339).
	// Defaults to expires_at.
	// +optional
	ExpiresAt SecretKey `json:"expiresAt,omitempty"`

	// authorization is the name of the entry with the value of an Authorization header.
	// Defaults to authorization.
	// +optional
	Authorization SecretKey `json:"authorization,omitempty"`

	// caCertificate is the name of the entry with the CA certificate of the token server in
	// PEM. Defaults to ca.crt. The entry is absent if every machine trusts the certificate.
	// +optional
	CACertificate SecretKey `json:"caCertificate,omitempty"`
}

// OAuth2TokenStatus is the observed state of an OAuth2Token.
type OAuth2TokenStatus struct {
	// observedGeneration is the metadata.generation that this status describes.
	// +optional
	// +kubebuilder:validation:Minimum=1
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`

	// clientID is the client_id to which the token is issued.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=512
	ClientID string `json:"clientID,omitempty"`

	// secret is the Secret with the token.
	// +optional
	Secret SecretReference `json:"secret,omitzero"`

	// tokenID is the jti of the token in the Secret. Audit lines contain it. It is not
	// confidential.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=64
	TokenID string `json:"tokenID,omitempty"`

	// issuedAt is the time at which the token in the Secret was issued.
	// +optional
	IssuedAt metav1.Time `json:"issuedAt,omitzero"`

	// expiresAt is the time at which the token in the Secret expires.
	// +optional
	ExpiresAt metav1.Time `json:"expiresAt,omitzero"`

	// audience is the resource indicator that the token in the Secret is for.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=1024
	Audience string `json:"audience,omitempty"`

	// scopes are the scopes of the token in the Secret.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=64
	Scopes []Scope `json:"scopes,omitempty"`

	// lastUsedAt is the time at which introspection, forward-auth or ext_authz last accepted a
	// token of this object, to the minute. Hallpass does not see a token that an API verifies
	// locally by its signature. The value is updated about every ten minutes, and less often
	// with thousands of active tokens.
	// +optional
	LastUsedAt metav1.Time `json:"lastUsedAt,omitzero"`

	// staleUses are the last uses of expired and revoked tokens of this object. Each reason is
	// updated at most once an hour, together with its event.
	// +optional
	// +listType=map
	// +listMapKey=reason
	// +kubebuilder:validation:MaxItems=8
	StaleUses []StaleUseStatus `json:"staleUses,omitempty"`

	// conditions follow kstatus, so that kubectl wait can be used. Ready is True while the
	// token in the Secret is valid. ExpiresSoon is True shortly before a Fixed token expires.
	// Reconciling and Stalled are present only while they are True.
	// +optional
	// +listType=map
	// +listMapKey=type
	// +kubebuilder:validation:MaxItems=8
	Conditions []metav1.Condition `json:"conditions,omitempty"`
}
