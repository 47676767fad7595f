// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

// IssuerType is the kind of an issuer.
//
// +kubebuilder:validation:Enum=OIDC;SPIFFE
type IssuerType string

// The types of issuers.
const (
	// IssuerOIDC is also the type of an issuer that names none.
	IssuerOIDC   IssuerType = "OIDC"
	IssuerSPIFFE IssuerType = "SPIFFE"
)

// IssuerSPIFFESpec names a trust domain.
type IssuerSPIFFESpec struct {
	// trustDomain is the name of the trust domain, such as example.org. Two
	// OAuth2TrustedIssuers with one trust domain are in conflict: the older one is used. The
	// field cannot be changed. At most 246 characters.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=246
	// +kubebuilder:validation:XValidation:rule="self.matches('^[-._a-z0-9]+$')",message="trustDomain has lower-case letters, digits, '-', '.' and '_', without spiffe://, such as example.org"
	// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="trustDomain cannot be changed, because clients are bound to it; create another OAuth2TrustedIssuer"
	TrustDomain string `json:"trustDomain,omitempty"`
}
