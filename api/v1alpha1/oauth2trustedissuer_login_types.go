// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

// IssuerLoginSpec configures how people log in at an issuer: Hallpass is a client there.
//
// +kubebuilder:validation:XValidation:rule="!has(self.groupsClaim) || has(self.allowed) && has(self.allowed.groups)",message="groupsClaim is for allowed.groups; leave it out without them"
type IssuerLoginSpec struct {
	// clientID is the client identifier of Hallpass at the issuer. Its ID tokens must be made
	// for this client. At most 255 characters.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=255
	// +kubebuilder:validation:XValidation:rule="self.matches('^[!-~]+$')",message="login.clientID is printable ASCII without spaces"
	ClientID string `json:"clientID,omitempty"`

	// clientSecretRef names the Secret with the client secret of Hallpass at the issuer. It is
	// in the namespace of login, in the entry client_secret. login reads it, and the manager
	// does not: a missing Secret is not in the conditions, but on the page and in the log of
	// login, as LoginSecretNotFound.
	// +required
	ClientSecretRef LoginSecretReference `json:"clientSecretRef,omitzero"`

	// scopes are the scopes that login requests at the issuer; openid is one of them. Defaults
	// to openid. At most 16.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=16
	// +kubebuilder:validation:XValidation:rule="self.exists(s, s == 'openid')",message="login.scopes must have openid, because a login without it has no ID token"
	Scopes []Scope `json:"scopes,omitempty"`

	// subjectClaim is the claim of the ID token that identifies a person: it becomes a part of
	// sub in the tokens of Hallpass. Defaults to sub. Use another one only if the issuer never
	// gives its value to another person, such as oid of Entra ID. It cannot be email. It cannot
	// be changed, and login with another one than sub can be neither added to an issuer that
	// exists nor removed.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=128
	// +kubebuilder:validation:XValidation:rule="self.matches('^[ -~]+$') && !(self in ['iss', 'aud', 'exp', 'nbf', 'iat'])",message="login.subjectClaim is the name of a claim that identifies a person, in printable ASCII"
	// +kubebuilder:validation:XValidation:rule="self.lowerAscii() != 'email'",message="login.subjectClaim cannot be email, because an address can pass to another person; use sub"
	SubjectClaim string `json:"subjectClaim,omitempty"`

	// allowed restricts who may log in. By default every person whom the issuer logs in may.
	// +optional
	Allowed LoginAllowedSpec `json:"allowed,omitzero"`

	// groupsClaim is the claim of the ID token with the groups of a person, a list of strings.
	// Defaults to groups.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=128
	// +kubebuilder:validation:XValidation:rule="self.matches('^[ -~]+$')",message="login.groupsClaim is the name of a claim in printable ASCII"
	GroupsClaim string `json:"groupsClaim,omitempty"`
}

// LoginSecretReference names a Secret in the namespace of login.
type LoginSecretReference struct {
	// name is the name of the Secret.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:XValidation:rule="!format.dns1123Subdomain().validate(self).hasValue()",message="clientSecretRef.name must be a valid Secret name: lower-case letters, digits, '-' and '.'"
	Name string `json:"name,omitempty"`
}

// LoginAllowedSpec restricts who may log in. A person needs all that it lists.
//
// +kubebuilder:validation:MinProperties=1
type LoginAllowedSpec struct {
	// claims are claims that the ID token must have, each with one of the values. At most 16.
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=16
	Claims []RequiredClaim `json:"claims,omitempty"`

	// groups are groups of which a person must be in one, by the claim groupsClaim. At most 32.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=32
	Groups []RequiredValue `json:"groups,omitempty"`
}
