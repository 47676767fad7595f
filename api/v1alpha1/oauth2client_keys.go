// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

// PrivateKeyJWTSpec registers the public keys of a client that signs its own assertions.
type PrivateKeyJWTSpec struct {
	// jwks is the JWK set (RFC 7517) with the public keys of the client, as a JSON string. Keys
	// for ES256, RS256, PS256 and EdDSA are used; RSA keys require 2048 to 4096 bits and the
	// exponent 65537. At least one such key is required. Public keys of other types, and RSA
	// keys of fewer than 2048 bits, are ignored; RSA keys of more than 4096 bits or with
	// another exponent are refused. A key without a kid is identified by its thumbprint (RFC
	// 7638). To replace a key, add the new one, wait until the client signs with it, and then
	// remove the old one. At most 16384 characters.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=16384
	// +kubebuilder:validation:XValidation:rule="!self.matches('\"(d|p|q|dp|dq|qi|oth|k)\"\\\\s*:')",message="jwks must hold public keys only: it has a private member (d, p, q, dp, dq, qi, oth or k); replace that key, because others have seen it"
	// +kubebuilder:validation:XValidation:rule="!self.matches('\"n\"\\\\s*:\\\\s*\"[A-Za-z0-9_-]{684}')",message="jwks must not hold an RSA key of more than 4096 bits: use 2048 to 4096 bits"
	// +kubebuilder:validation:XValidation:rule="!self.matches('\"e\"\\\\s*:\\\\s*\"([^A]|A[^Q]|AQ[^A]|AQA[^B]|AQAB[^\"])')",message="jwks must not hold an RSA key with another exponent than 65537, which is \"e\": \"AQAB\""
	JWKS string `json:"jwks,omitempty"`

	// maxAssertionLifetime is how far in the future the exp of an assertion may be, from 1m to
	// 10m, in whole seconds. Defaults to 5m. With JWTBearer in grantTypes it may be up to 30m,
	// which holds for assertions that are the grant: a client assertion may live for 10m at
	// most. Each assertion is accepted once. A short lifetime limits the use of a stolen
	// assertion.
	// +optional
	// +kubebuilder:validation:XValidation:rule="!self.matches('^([0-9]{1,6}[hms])+$') || duration(self) >= duration('1m') && duration(self) <= duration('30m')",message="maxAssertionLifetime must be between 1m and 30m in whole seconds, such as 5m"
	MaxAssertionLifetime Duration `json:"maxAssertionLifetime,omitempty"`
}
