// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// OAuth2Token is a bearer token for software that cannot fetch its own. Hallpass makes it on behalf of an OAuth2Client of the same
// namespace and writes it into a Secret there. Deleting the OAuth2Token ends it.
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

	// spec is the token that is wanted.
	// +required
	Spec OAuth2TokenSpec `json:"spec,omitzero"`

	// status is what Hallpass has made of it. Nothing reads it back as an input.
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

// OAuth2TokenSpec is the token that is wanted.
//
// +kubebuilder:validation:XValidation:rule="(self.mode == 'Fixed') == has(self.expirationTime)",message="expirationTime belongs to mode Fixed, and that mode needs it; a Refreshing token is kept fresh for as long as its OAuth2Token is there"
// +kubebuilder:validation:XValidation:rule="self.mode == oldSelf.mode",message="mode cannot be changed; create another OAuth2Token"
// +kubebuilder:validation:XValidation:rule="self.mode != 'Fixed' || self.clientRef == oldSelf.clientRef && has(self.scopes) == has(oldSelf.scopes) && (!has(self.scopes) || self.scopes == oldSelf.scopes) && has(self.resource) == has(oldSelf.resource) && (!has(self.resource) || self.resource == oldSelf.resource) && self.expirationTime == oldSelf.expirationTime",message="clientRef, scopes, resource and expirationTime of a Fixed token cannot be changed, for somebody has that token already; create another OAuth2Token and delete this one"
type OAuth2TokenSpec struct {
	// clientRef names the OAuth2Client that the token speaks for. It has to be one with a client secret: a client that proves itself
	// by keys or by a service account has chosen to have no credential that can be copied.
	// +required
	ClientRef LocalClientReference `json:"clientRef,omitzero"`

	// mode is Refreshing or Fixed. A Refreshing token lives as long as any of its client's and is replaced in the Secret long before
	// its end, for software that reads a file. A Fixed token is one token with a chosen end, for software that it is typed into; it
	// is opaque, so that only Hallpass can say whether it is good, by introspection, forward-auth or ext_authz.
	// +required
	Mode TokenMode `json:"mode,omitempty"`

	// expirationTime is the end of a Fixed token. The installation and its policies limit it: 90 days after the creation of the
	// OAuth2Token, unless they say otherwise.
	// +optional
	ExpirationTime *metav1.Time `json:"expirationTime,omitempty"`

	// scopes are those that the token has; left out, all that the client is granted at the resource. At most 64.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=64
	Scopes []Scope `json:"scopes,omitempty"`

	// resource is the resource indicator that the token is for, as a client would send it; left out, the client's default.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=1024
	// +kubebuilder:validation:XValidation:rule="self.matches('^[!-~]+$')",message="resource is a resource indicator: an absolute URI, such as status.identifier of an OAuth2Resource"
	Resource string `json:"resource,omitempty"`

	// description holds notes for humans: who has the token, and what for. At most 2000 characters.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=2000
	Description string `json:"description,omitempty"`

	// secret says where the token goes and how that Secret looks.
	// +optional
	Secret TokenSecretSpec `json:"secret,omitzero"`
}

// LocalClientReference names an OAuth2Client of the object's own namespace.
type LocalClientReference struct {
	// name of the OAuth2Client.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name,omitempty"`
}

// TokenMode says how a token lives.
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

// TokenSecretSpec says where a token goes. The Secret always has the type hallpass.dev/oauth2-token.
type TokenSecretSpec struct {
	// name of the Secret in the namespace; left out it is the name of the OAuth2Token. A Secret of that name that is not its own is
	// never touched.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:XValidation:rule="!format.dns1123Subdomain().validate(self).hasValue()",message="secret.name must be a valid Secret name: lower-case letters, digits, '-' and '.'"
	Name string `json:"name,omitempty"`

	// keys renames entries of the Secret for software that expects other names.
	// +optional
	Keys TokenSecretKeys `json:"keys,omitzero"`

	// template adds entries that are rendered from the others: $(token), $(token_type), $(expires_at), $(authorization) and $(ca.crt)
	// stand for the values, whatever their entries are called; $$ is a dollar sign. At most 8 entries of 4096 characters.
	// +optional
	Template SecretTemplate `json:"template,omitempty"`

	// labels are put on the Secret, and taken off again when they are removed here. Of the kubernetes.io, k8s.io and hallpass.dev
	// domains app.kubernetes.io/name, component, part-of and version can be set. At most 16.
	// +optional
	Labels SecretLabels `json:"labels,omitempty"`

	// annotations are put on the Secret, and taken off again when they are removed here. The kubernetes.io, k8s.io and
	// hallpass.dev domains are not for users. At most 16.
	// +optional
	Annotations SecretAnnotations `json:"annotations,omitempty"`
}

// TokenSecretKeys renames the entries of a token's Secret.
//
// +kubebuilder:validation:MinProperties=1
// +kubebuilder:validation:XValidation:rule="[[has(self.token) ? self.token : 'token', has(self.tokenType) ? self.tokenType : 'token_type', has(self.expiresAt) ? self.expiresAt : 'expires_at', has(self.authorization) ? self.authorization : 'authorization', has(self.caCertificate) ? self.caCertificate : 'ca.crt']].all(names, names.all(name, names.exists_one(other, other == name)))",message="secret.keys must name every entry of the Secret differently, the default names included"
type TokenSecretKeys struct {
	// token is the entry that holds the token itself; left out it is token.
	// +optional
	Token SecretKey `json:"token,omitempty"`

	// tokenType is the entry that holds the word Bearer; left out it is token_type.
	// +optional
	TokenType SecretKey `json:"tokenType,omitempty"`

	// expiresAt is the entry that holds the end of the token (RFC 3339); left out it is expires_at.
	// +optional
	ExpiresAt SecretKey `json:"expiresAt,omitempty"`

	// authorization is the entry that holds the value of an Authorization header; left out it is authorization.
	// +optional
	Authorization SecretKey `json:"authorization,omitempty"`

	// caCertificate is the entry that holds the certificate authority of the token server in PEM, where it is Hallpass's own; left
	// out it is ca.crt.
	// +optional
	CACertificate SecretKey `json:"caCertificate,omitempty"`
}

// OAuth2TokenStatus is what Hallpass has made of an OAuth2Token.
type OAuth2TokenStatus struct {
	// observedGeneration is the generation of the spec that this status speaks of.
	// +optional
	// +kubebuilder:validation:Minimum=1
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`

	// clientID is the client_id that the token speaks for.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=512
	ClientID string `json:"clientID,omitempty"`

	// secret names the Secret that holds the token.
	// +optional
	Secret SecretReference `json:"secret,omitzero"`

	// tokenID is the jti of the token in the Secret, by which audit lines name it. It is no secret.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=64
	TokenID string `json:"tokenID,omitempty"`

	// issuedAt and expiresAt are the life of the token in the Secret.
	// +optional
	IssuedAt metav1.Time `json:"issuedAt,omitzero"`

	// expiresAt is the end of the token in the Secret.
	// +optional
	ExpiresAt metav1.Time `json:"expiresAt,omitzero"`

	// audience and scopes are what the token in the Secret is good for.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=1024
	Audience string `json:"audience,omitempty"`

	// scopes are those of the token in the Secret.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=64
	Scopes []Scope `json:"scopes,omitempty"`

	// lastUsedAt is when somebody last presented a token of this object that was good, at introspection, forward-auth or ext_authz, to
	// the minute. Where a JWT is verified by its signature alone nobody tells Hallpass. Of a token in constant use it may be ten
	// minutes old, more with thousands of them.
	// +optional
	LastUsedAt metav1.Time `json:"lastUsedAt,omitzero"`

	// staleUses tell of what was used although it had its time: each kind at most once an hour, as its event does.
	// +optional
	// +listType=map
	// +listMapKey=reason
	// +kubebuilder:validation:MaxItems=8
	StaleUses []StaleUseStatus `json:"staleUses,omitempty"`

	// conditions are what kstatus and kubectl wait look at: Ready is True while the token in the Secret is good; ExpiresSoon is True
	// ahead of the end of a Fixed token; Reconciling and Stalled follow kstatus and are there only while they are True.
	// +optional
	// +listType=map
	// +listMapKey=type
	// +kubebuilder:validation:MaxItems=8
	Conditions []metav1.Condition `json:"conditions,omitempty"`
}
