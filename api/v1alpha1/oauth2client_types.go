// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// OAuth2Client is a piece of software that fetches bearer tokens. Hallpass registers it, writes its credentials into a
// Secret of the same namespace, and issues tokens to whoever presents them at the token endpoint.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:shortName=hpc,categories=hallpass
// +kubebuilder:printcolumn:name="Client ID",type=string,JSONPath=`.status.clientID`
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Reason",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].reason`
// +kubebuilder:printcolumn:name="Grants",type=string,JSONPath=`.status.conditions[?(@.type=="GrantsComplete")].reason`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:printcolumn:name="Display Name",type=string,priority=1,JSONPath=`.spec.displayName`
// +kubebuilder:printcolumn:name="Last Used",type=date,priority=1,JSONPath=`.status.lastUsedAt`
// +kubebuilder:printcolumn:name="Next Rotation",type=string,priority=1,JSONPath=`.status.rotation.nextAt`
// +kubebuilder:printcolumn:name="Secret",type=string,priority=1,JSONPath=`.status['secret','configMap'].name`
// +kubebuilder:printcolumn:name="Resource",type=string,priority=1,JSONPath=`.status.resources`
// +kubebuilder:printcolumn:name="Scopes",type=string,priority=1,JSONPath=`.spec.scopes`
//
// +kubebuilder:validation:XValidation:rule="(has(self.spec) && has(self.spec.clientID)) == (has(oldSelf.spec) && has(oldSelf.spec.clientID)) && (!has(self.spec) || !has(self.spec.clientID) || self.spec.clientID == oldSelf.spec.clientID)",message="spec.clientID cannot be changed, set or removed; create another OAuth2Client for another identifier"
type OAuth2Client struct {
	metav1.TypeMeta `json:",inline"`

	// metadata is the standard metadata of a Kubernetes object.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitzero"`

	// spec is what the client asks for. An empty spec is a complete client: credentials, hour-long tokens, no scopes.
	// +optional
	Spec OAuth2ClientSpec `json:"spec,omitzero"`

	// status is what Hallpass has made of it. Nothing reads it back as an input.
	// +optional
	Status OAuth2ClientStatus `json:"status,omitzero"`
}

// OAuth2ClientList is a list of OAuth2Clients.
//
// +kubebuilder:object:root=true
type OAuth2ClientList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitzero"`
	Items           []OAuth2Client `json:"items"`
}

// OAuth2ClientSpec is what the client asks for.
//
// +kubebuilder:validation:XValidation:rule="!(has(self.secret) && has(self.secret.source) && self.secret.source == 'Existing' && has(self.rotation) && has(self.rotation.interval))",message="rotation.interval is for Secrets that Hallpass writes; an Existing one is rotated by whoever writes it"
// +kubebuilder:validation:XValidation:rule="!has(self.authentication) || !(has(self.authentication.privateKeyJWT) || has(self.authentication.serviceAccount)) || !has(self.rotation) && !(has(self.secret) && (has(self.secret.keys) && has(self.secret.keys.clientSecret) || has(self.secret.source) && self.secret.source == 'Existing'))",message="with PrivateKeyJWT and ServiceAccount there is no client secret: leave out rotation, secret.keys.clientSecret and secret.source Existing"
// +kubebuilder:validation:XValidation:rule="!has(self.defaultResource) || has(self.access) && self.access.exists(a, a.resourceNamespace == self.defaultResource.namespace && a.resourceName == self.defaultResource.name)",message="defaultResource must be one of spec.access"
type OAuth2ClientSpec struct {
	// displayName names the client for humans, in wide lists (kubectl get --output wide). At most 100 characters.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=100
	DisplayName string `json:"displayName,omitempty"`

	// description holds notes for humans: what the client does, whom to ask. At most 2000 characters.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=2000
	Description string `json:"description,omitempty"`

	// contacts are whom to ask about the client (RFC 7591): e-mail addresses, or URIs such as https://chat.example.com/shop. An
	// OAuth2Policy may require one. At most 8.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=8
	Contacts []Contact `json:"contacts,omitempty"`

	// clientID is a client identifier to keep, for software that is migrated with the one it has. Left out it is
	// <namespace>.<name>. It cannot be changed, set or removed later, may not look like another client's
	// <namespace>.<name>, and takes an installation that allows chosen identifiers. At most 255 characters.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=255
	// +kubebuilder:validation:XValidation:rule="self.matches('^[!-9;-~]+$')",message="clientID is printable ASCII without spaces and colons"
	// +kubebuilder:validation:XValidation:rule="!self.lowerAscii().matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?([.][a-z0-9]([-a-z0-9]*[a-z0-9])?)+$')",message="clientID must not look like <namespace>.<name>, which is how clients without one are called; leave it out, or keep the identifier of a migrated client"
	ClientID string `json:"clientID,omitempty"`

	// scopes are free-form scopes (RFC 6749 section 3.3) that the client may have in tokens for the audience of its own
	// namespace. A token request without a scope is given all of them. At most 64, each of at most 128 characters.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=64
	Scopes []Scope `json:"scopes,omitempty"`

	// access is what the client asks of declared resources, its own namespace's included. Their owners decide; status.grants
	// says what they gave. At most 16.
	// +optional
	// +listType=map
	// +listMapKey=resourceNamespace
	// +listMapKey=resourceName
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=16
	Access []Access `json:"access,omitempty"`

	// defaultResource is the one of spec.access that a token request without a resource means: namespace and name, which
	// spec.access calls resourceNamespace and resourceName. Left out it is the audience of the client's own namespace.
	// +optional
	DefaultResource ResourceReference `json:"defaultResource,omitzero"`

	// tokenLifetime is how long a token of this client is valid, from 1m to 1h, in whole seconds. Left out it is 1h.
	// +optional
	// +kubebuilder:validation:XValidation:rule="!self.matches('^([0-9]{1,6}[hms])+$') || duration(self) >= duration('1m') && duration(self) <= duration('1h')",message="tokenLifetime must be between 1m and 1h in whole seconds, such as 30m"
	TokenLifetime Duration `json:"tokenLifetime,omitempty"`

	// tokenSigningAlgorithm is what the tokens of this client are signed with: ES256, RS256 or EdDSA (Ed25519). It has to be one that
	// the installation enables; left out it is the installation's default, which is ES256 unless it says otherwise.
	// +optional
	TokenSigningAlgorithm SigningAlgorithm `json:"tokenSigningAlgorithm,omitempty"`

	// claims are put into every token of the client, and introspection shows them. Their names have a '/' or ':', such as
	// https://example.com/tier, or are allowed by an OAuth2Policy. Names that mean something to readers of tokens are refused.
	// At most 16, and 2 KiB in all.
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=16
	// +kubebuilder:validation:XValidation:rule="self.map(c, size(c.name) + (has(c.value) ? size(c.value) : 0) + (has(c.values) ? c.values.map(v, size(v)).sum() : 0)).sum() <= 2048",message="claims must be at most 2048 characters in all, names and values"
	Claims []Claim `json:"claims,omitempty"`

	// authentication says how the client proves who it is; left out it is by a client secret that Hallpass makes.
	// +optional
	Authentication AuthenticationSpec `json:"authentication,omitzero"`

	// secret says where the credentials go and how that Secret looks; of a client with method ServiceAccount it says so of a
	// ConfigMap, which holds the client_id and the URLs.
	// +optional
	Secret SecretSpec `json:"secret,omitzero"`

	// rotation says when the client secret is replaced by a new one, and how long the old one goes on working.
	// +optional
	Rotation RotationSpec `json:"rotation,omitzero"`

	// state is Active or Suspended; left out it is Active. A suspended client gets no tokens, and those it has are refused
	// wherever Hallpass is asked about them; its credentials stay as they are.
	// +optional
	State ClientState `json:"state,omitempty"`

	// revokeTokensIssuedBefore takes back every token of this client that was issued before that instant, wherever Hallpass is asked
	// about them; the client itself goes on. One to come means the instant at which Hallpass first sees it, so that any far
	// one takes back all that there are: set it to another value to do so again. Taken out, tokens that have not expired
	// are good again.
	// +optional
	// +kubebuilder:validation:XValidation:rule="self >= timestamp('2020-01-01T00:00:00Z')",message="revokeTokensIssuedBefore lies before every token there is; give the time up to which tokens are taken back, such as now in UTC: 2026-11-23T12:00:00Z"
	RevokeTokensIssuedBefore *metav1.Time `json:"revokeTokensIssuedBefore,omitempty"`
}

// Contact is an e-mail address or an absolute URI.
//
// +kubebuilder:validation:MinLength=1
// +kubebuilder:validation:MaxLength=255
// +kubebuilder:validation:XValidation:rule="self.matches('^[^@[:space:][:cntrl:]]+@[^@[:space:][:cntrl:]]+$') || self.matches('^[a-zA-Z][-+.a-zA-Z0-9]*:[!-~]+$')",message="a contact is an e-mail address, or a URI such as https://chat.example.com/shop"
type Contact string

// Scope is one scope token of RFC 6749 section 3.3: printable ASCII without space, quotation mark and backslash.
//
// +kubebuilder:validation:MinLength=1
// +kubebuilder:validation:MaxLength=128
// +kubebuilder:validation:XValidation:rule="self.matches('^[!#-[\\\\]-~]+$')",message="a scope is printable ASCII without spaces, quotation marks and backslashes (RFC 6749 section 3.3)"
type Scope string

// SigningAlgorithm is an algorithm that tokens are signed with (RFC 7518, RFC 8037).
//
// +kubebuilder:validation:Enum=ES256;RS256;EdDSA
type SigningAlgorithm string

// AuthenticationSpec says how a client proves who it is. Exactly this method is accepted.
//
// +kubebuilder:validation:MinProperties=1
// +kubebuilder:validation:XValidation:rule="(has(self.method) && self.method == 'PrivateKeyJWT') == has(self.privateKeyJWT)",message="privateKeyJWT belongs to method PrivateKeyJWT, and that method needs it"
// +kubebuilder:validation:XValidation:rule="(has(self.method) && self.method == 'ServiceAccount') == has(self.serviceAccount)",message="serviceAccount belongs to method ServiceAccount, and that method needs it"
type AuthenticationSpec struct {
	// method is ClientSecret, PrivateKeyJWT or ServiceAccount; left out it is ClientSecret. With PrivateKeyJWT (RFC 7523) the
	// client signs assertions with a key of its own; its Secret holds the client_id and the URLs and no client secret. With
	// ServiceAccount the client is a pod that sends the token of its service account; it has a ConfigMap and no Secret.
	// +optional
	Method AuthenticationMethod `json:"method,omitempty"`

	// privateKeyJWT is what PrivateKeyJWT needs.
	// +optional
	PrivateKeyJWT PrivateKeyJWTSpec `json:"privateKeyJWT,omitzero"`

	// serviceAccount is what ServiceAccount needs.
	// +optional
	ServiceAccount ServiceAccountSpec `json:"serviceAccount,omitzero"`
}

// AuthenticationMethod is how a client proves who it is.
//
// +kubebuilder:validation:Enum=ClientSecret;PrivateKeyJWT;ServiceAccount
type AuthenticationMethod string

// The authentication methods of an OAuth2Client.
const (
	// ByClientSecret is the ordinary method, also of a client that names none: client_secret_basic or client_secret_post.
	ByClientSecret AuthenticationMethod = "ClientSecret"
	// ByPrivateKeyJWT is private_key_jwt.
	ByPrivateKeyJWT AuthenticationMethod = "PrivateKeyJWT"
	// ByServiceAccount is a pod's token of its service account as the assertion of RFC 7523.
	ByServiceAccount AuthenticationMethod = "ServiceAccount"
)

// ServiceAccountSpec names the service account whose pods are the client.
type ServiceAccountSpec struct {
	// name of the ServiceAccount, which is one of the client's own namespace. A token of it is accepted if its audience is the
	// issuer alone and it lives for an hour at the most. An account that is deleted and created again is let in anew.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:XValidation:rule="!format.dns1123Subdomain().validate(self).hasValue()",message="serviceAccount.name must be the name of a ServiceAccount of this namespace: lower-case letters, digits, '-' and '.'"
	Name string `json:"name,omitempty"`
}

// ClientState says whether a client may have tokens.
//
// +kubebuilder:validation:Enum=Active;Suspended
type ClientState string

// The states of an OAuth2Client.
const (
	// ClientActive is the ordinary state, also of a client that names none.
	ClientActive ClientState = "Active"
	// ClientSuspended refuses the client and every token it holds until it is Active again.
	ClientSuspended ClientState = "Suspended"
)

// OAuth2ClientStatus is what Hallpass has made of an OAuth2Client.
type OAuth2ClientStatus struct {
	// observedGeneration is the generation of the spec that this status speaks of.
	// +optional
	// +kubebuilder:validation:Minimum=1
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`

	// clientID is the client identifier to present at the token endpoint: spec.clientID, or <namespace>.<name>.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=512
	ClientID string `json:"clientID,omitempty"`

	// secret names the Secret that holds the credentials.
	// +optional
	Secret SecretReference `json:"secret,omitzero"`

	// configMap names the ConfigMap of a client with method ServiceAccount.
	// +optional
	ConfigMap ConfigMapReference `json:"configMap,omitzero"`

	// credentials are the client secrets that are accepted now, the current one first and then the newest first; ids and times, never
	// values.
	// +optional
	// +listType=map
	// +listMapKey=id
	// +kubebuilder:validation:MaxItems=8
	Credentials []CredentialStatus `json:"credentials,omitempty"`

	// lastUsedAt is when the client was last seen at work, to the minute: it authenticated, or somebody presented a good token of its
	// at introspection, forward-auth or ext_authz. Where tokens are verified by their signature alone nobody tells Hallpass. What is
	// told of a client in constant use may be ten minutes old, more with thousands of them.
	// +optional
	LastUsedAt metav1.Time `json:"lastUsedAt,omitzero"`

	// lastTokenIssuedAt is when a token was last issued to the client, to the minute, and as old as lastUsedAt may be.
	// +optional
	LastTokenIssuedAt metav1.Time `json:"lastTokenIssuedAt,omitzero"`

	// staleUses tell of what was used although it had its time: each kind at most once an hour, as its event does.
	// +optional
	// +listType=map
	// +listMapKey=reason
	// +kubebuilder:validation:MaxItems=8
	StaleUses []StaleUseStatus `json:"staleUses,omitempty"`

	// rotation is what became of the last request to rotate, and when the next rotation is due.
	// +optional
	Rotation RotationStatus `json:"rotation,omitzero"`

	// grants tell of every scope that the client asks for whether it has it, and why not.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=17
	Grants []GrantStatus `json:"grants,omitempty"`

	// resources are the OAuth2Resources that the client has any scope of, as <namespace>/<name>; status.grants has the scopes.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=16
	Resources []ResourceName `json:"resources,omitempty"`

	// conditions are what kstatus and kubectl wait look at: Ready is True while the token endpoint honours the client; GrantsComplete is False while it
	// does not have all that it asks for; Reconciling and Stalled follow kstatus and are there only while they are True.
	// +optional
	// +listType=map
	// +listMapKey=type
	// +kubebuilder:validation:MaxItems=8
	Conditions []metav1.Condition `json:"conditions,omitempty"`
}

// SecretReference names a Secret of the object's own namespace.
type SecretReference struct {
	// name of the Secret.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name,omitempty"`
}

// ConfigMapReference names a ConfigMap of the object's own namespace.
type ConfigMapReference struct {
	// name of the ConfigMap.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name,omitempty"`
}

// CredentialStatus is one client secret that is accepted.
type CredentialStatus struct {
	// id is the part of the secret between hp_ and the next underscore.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=64
	ID string `json:"id,omitempty"`

	// createdAt is when the secret was made.
	// +required
	CreatedAt metav1.Time `json:"createdAt,omitzero"`

	// expiresAt is when the secret stops being accepted; the current one has no end.
	// +optional
	ExpiresAt metav1.Time `json:"expiresAt,omitzero"`

	// lastUsedAt is when the secret was last accepted, to the minute, and as old as lastUsedAt of the client may be.
	// +optional
	LastUsedAt metav1.Time `json:"lastUsedAt,omitzero"`

	// keptReason is why a secret that was replaced is still accepted: Overlap, until expiresAt, because nothing else ends it; InUse,
	// because it was used, or may have been, or was replaced, less than rotation.retireWhenUnusedFor ago; NotReported, because a replica
	// of the token server has not reported what it used.
	// +optional
	KeptReason KeptReason `json:"keptReason,omitempty"`

	// keptMessage says so for humans.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=512
	KeptMessage string `json:"keptMessage,omitempty"`
}

// KeptReason is why a replaced secret is still accepted.
//
// +kubebuilder:validation:Enum=Overlap;InUse;NotReported
type KeptReason string

// Why a replaced secret is still accepted.
const (
	KeptForOverlap     KeptReason = "Overlap"
	KeptInUse          KeptReason = "InUse"
	KeptForWantOfProof KeptReason = "NotReported"
)

// StaleUseStatus is the last use that was reported of something that had its time.
type StaleUseStatus struct {
	// reason is the reason of the event: ExpiredTokenUsed or RevokedTokenUsed, which were refused, or PreviousSecretUsed, which is
	// accepted until the end of its overlap.
	// +required
	Reason StaleUseReason `json:"reason,omitempty"`

	// lastUsedAt is when that was, to the minute.
	// +required
	LastUsedAt metav1.Time `json:"lastUsedAt,omitzero"`

	// credential is the id of the client secret, if it was one.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=64
	Credential string `json:"credential,omitempty"`

	// source is the address that it came from; of IPv6 its /64. Of what a proxy asks about it is the address that the proxy gives, if
	// the installation trusts it, and else not known.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=64
	Source string `json:"source,omitempty"`
}

// StaleUseReason is the reason of the events about what is used although it had its time.
//
// +kubebuilder:validation:Enum=ExpiredTokenUsed;RevokedTokenUsed;PreviousSecretUsed
type StaleUseReason string
