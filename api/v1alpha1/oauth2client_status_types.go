// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// OAuth2ClientStatus is the observed state of an OAuth2Client.
type OAuth2ClientStatus struct {
	// observedGeneration is the metadata.generation that this status describes.
	// +optional
	// +kubebuilder:validation:Minimum=1
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`

	// clientID is the client identifier for the token endpoint: spec.clientID, or
	// <namespace>.<name>.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=512
	ClientID string `json:"clientID,omitempty"`

	// secret is the Secret with the credentials.
	// +optional
	Secret SecretReference `json:"secret,omitzero"`

	// configMap is the ConfigMap of a client with method ServiceAccount, FederatedToken or
	// None, or with an Existing Secret.
	// +optional
	ConfigMap ConfigMapReference `json:"configMap,omitzero"`

	// credentials are the client secrets that are accepted: the current one first, then the
	// previous ones from new to old. They have identifiers and times, never values.
	// +optional
	// +listType=map
	// +listMapKey=id
	// +kubebuilder:validation:MaxItems=8
	Credentials []CredentialStatus `json:"credentials,omitempty"`

	// lastUsedAt is the time of the last use, to the minute: the client authenticated, or
	// introspection, forward-auth or ext_authz accepted one of its tokens. Hallpass does not
	// see a token that an API verifies locally by its signature. The value is updated about
	// every ten minutes, and less often with thousands of active clients.
	// +optional
	LastUsedAt metav1.Time `json:"lastUsedAt,omitzero"`

	// lastTokenIssuedAt is the time at which a token was last issued to the client, to the
	// minute. It is updated as often as lastUsedAt.
	// +optional
	LastTokenIssuedAt metav1.Time `json:"lastTokenIssuedAt,omitzero"`

	// staleUses are the last uses of expired tokens, revoked tokens and replaced secrets. Each
	// reason is updated at most once an hour, together with its event.
	// +optional
	// +listType=map
	// +listMapKey=reason
	// +kubebuilder:validation:MaxItems=8
	StaleUses []StaleUseStatus `json:"staleUses,omitempty"`

	// refusals are the requests of this client that the token server refused in the last seven
	// days: one entry for each reason, the latest first. They change at most once in ten
	// minutes, and do not change Ready. Any caller that knows the client_id can cause a
	// refusal.
	// +optional
	// +listType=map
	// +listMapKey=reason
	// +kubebuilder:validation:MaxItems=8
	Refusals []RefusalStatus `json:"refusals,omitempty"`

	// rotation reports the last requested rotation, and the time of the next one.
	// +optional
	Rotation RotationStatus `json:"rotation,omitzero"`

	// grants are the decisions on every scope that the client asks for.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=17
	Grants []GrantStatus `json:"grants,omitempty"`

	// resources are the OAuth2Resources of which the client has at least one scope, as
	// <namespace>/<name>. status.grants has the scopes.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=16
	Resources []ResourceName `json:"resources,omitempty"`

	// conditions follow kstatus, so that kubectl wait can be used. Ready is True while the
	// token endpoint accepts the client. GrantsComplete is False while a requested scope is not
	// granted. Reconciling and Stalled are present only while they are True.
	// +optional
	// +listType=map
	// +listMapKey=type
	// +kubebuilder:validation:MaxItems=8
	Conditions []metav1.Condition `json:"conditions,omitempty"`
}

// SecretReference names a Secret in the same namespace.
type SecretReference struct {
	// name is the name of the Secret.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name,omitempty"`
}

// ConfigMapReference names a ConfigMap in the same namespace.
type ConfigMapReference struct {
	// name is the name of the ConfigMap.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name,omitempty"`
}

// CredentialStatus is a client secret that is accepted.
type CredentialStatus struct {
	// id identifies the secret: the part of its value between hp_ and the next underscore.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=64
	ID string `json:"id,omitempty"`

	// createdAt is the time at which the secret was created.
	// +required
	CreatedAt metav1.Time `json:"createdAt,omitzero"`

	// expiresAt is the time from which the secret is refused. The current secret has none.
	// +optional
	ExpiresAt metav1.Time `json:"expiresAt,omitzero"`

	// lastUsedAt is the time at which the secret was last accepted, to the minute. It is
	// updated as often as lastUsedAt of the client.
	// +optional
	LastUsedAt metav1.Time `json:"lastUsedAt,omitzero"`

	// keptReason is why a replaced secret is still accepted. Overlap: until expiresAt, because
	// rotation.retireWhenUnusedFor is not set. InUse: the secret was used or replaced less than
	// rotation.retireWhenUnusedFor ago, or a use cannot be excluded. NotReported: a replica of
	// the token server has not reported its uses.
	// +optional
	KeptReason KeptReason `json:"keptReason,omitempty"`

	// keptMessage explains keptReason.
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

// StaleUseStatus is the last reported use of an expired token, a revoked token or a replaced
// secret.
type StaleUseStatus struct {
	// reason is the reason of the event: ExpiredTokenUsed or RevokedTokenUsed (the token was
	// refused), or PreviousSecretUsed (the secret is accepted until its overlap ends; only in
	// an OAuth2Client).
	// +required
	Reason StaleUseReason `json:"reason,omitempty"`

	// lastUsedAt is the time of that use, to the minute.
	// +required
	LastUsedAt metav1.Time `json:"lastUsedAt,omitzero"`

	// credential is the id of the client secret of PreviousSecretUsed.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=64
	Credential string `json:"credential,omitempty"`

	// source is the IP address of the caller. If a proxy asks on behalf of a caller, source is
	// the address that the proxy sends. If the installation does not trust the proxy, source is
	// absent.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=64
	Source string `json:"source,omitempty"`
}

// StaleUseReason is the reason of an event about the use of an expired token, a revoked token or a
// replaced secret.
//
// +kubebuilder:validation:Enum=ExpiredTokenUsed;RevokedTokenUsed;PreviousSecretUsed
type StaleUseReason string
