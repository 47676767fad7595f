// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

// PrivateKeyJWTSpec is what a client that signs its own assertions registers.
type PrivateKeyJWTSpec struct {
	// jwks is the JWK set (RFC 7517) of the client's public keys, as a string of JSON: keys for ES256, RS256, PS256 or EdDSA,
	// RSA of 2048 to 4096 bits with the exponent 65537. A key without a kid has its thumbprint (RFC 7638) for one. Other public
	// keys, such as those for encryption, are ignored; one of these is needed. To change keys, have both in the set for a while.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=16384
	// +kubebuilder:validation:XValidation:rule="!self.matches('\"(d|p|q|dp|dq|qi|oth|k)\"\\\\s*:')",message="jwks must hold public keys only: it has a private member (d, p, q, dp, dq, qi, oth or k); replace that key, for others have seen it"
	// +kubebuilder:validation:XValidation:rule="!self.matches('\"n\"\\\\s*:\\\\s*\"[A-Za-z0-9_-]{684}')",message="jwks must not hold an RSA key of more than 4096 bits: use 2048 to 4096 bits"
	// +kubebuilder:validation:XValidation:rule="!self.matches('\"e\"\\\\s*:\\\\s*\"([^A]|A[^Q]|AQ[^A]|AQA[^B]|AQAB[^\"])')",message="jwks must not hold an RSA key with another exponent than 65537, which is \"e\": \"AQAB\""
	JWKS string `json:"jwks,omitempty"`

	// maxAssertionLifetime is how far in the future the exp of an assertion may be, from 1m to 10m, in whole seconds. Left out it
	// is 5m. Each assertion is used once, whatever its lifetime is; a short one limits what a stolen assertion is good for.
	// +optional
	// +kubebuilder:validation:XValidation:rule="!self.matches('^([0-9]{1,6}[hms])+$') || duration(self) >= duration('1m') && duration(self) <= duration('10m')",message="maxAssertionLifetime must be between 1m and 10m in whole seconds, such as 5m"
	MaxAssertionLifetime Duration `json:"maxAssertionLifetime,omitempty"`
}
