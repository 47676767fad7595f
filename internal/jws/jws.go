// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

// Package jws reads and writes compact JSON Web Signatures (RFC 7515) and public keys (RFC 7517,
// RFC 7638), and nothing else of JOSE: no encryption, shared keys, "none", JSON serialisation or
// keys inside tokens. A key fixes its algorithm, so a header cannot choose another (RFC 8725
// section 3.1). It depends on the standard library and strictjson alone.
package jws

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"errors"
	"fmt"
)

// Algorithm is a signature algorithm by its registered name (RFC 7518 section 3.1, RFC 8037 section
// 3.1, RFC 9864 section 2.2).
type Algorithm string

// The algorithms. EdDSA means Ed25519 here. RFC 9864 deprecates that name, but go-jose v4,
// golang-jwt v5 and go-oidc v3 refuse tokens with the new one. Both names are accepted, and a
// Signer writes the one that it was made with. PS256 is only verified, for assertions of clients.
const (
	ES256   Algorithm = "ES256"
	RS256   Algorithm = "RS256"
	PS256   Algorithm = "PS256"
	EdDSA   Algorithm = "EdDSA"
	Ed25519 Algorithm = "Ed25519"
)

// Canonical returns the one name of an algorithm with two: that which headers and keys are compared
// by.
func (a Algorithm) Canonical() Algorithm {
	if a == Ed25519 {
		return EdDSA
	}
	return a
}

func (a Algorithm) known() bool {
	switch a {
	case ES256, RS256, PS256, EdDSA, Ed25519:
		return true
	}
	return false
}

// MinRSABits is the smallest accepted RSA modulus (RFC 7518 section 3.3).
const MinRSABits = 2048

// The owner of an RSA key determines the cost of a verification, and any caller can send forged
// signatures. 8192 bits with an exponent of 31 bits take 75 times as long as 2048 bits with 65537.
const (
	// maxRSABits is the largest RSA modulus that is accepted.
	maxRSABits = 4096
	// rsaExponent is the only public exponent that is accepted.
	rsaExponent = 65537
)

var (
	// ErrWeakKey is wrapped by the refusal of a key that is too small or does not fit its
	// algorithm.
	ErrWeakKey = errors.New("key does not fit the algorithm")
	// ErrCostlyKey is wrapped by the refusal of an RSA key that makes verifications expensive.
	ErrCostlyKey = errors.New("key is too expensive to verify with")
)

// PublicKey verifies signatures of one algorithm.
type PublicKey struct {
	// ID is the kid.
	ID        string
	Algorithm Algorithm
	Key       crypto.PublicKey
}

// Check refuses a key whose type or size does not fit its algorithm.
func (k PublicKey) Check() error {
	switch key := k.Key.(type) {
	case *ecdsa.PublicKey:
		if k.Algorithm == ES256 && key.Curve == elliptic.P256() {
			return nil
		}
	case *rsa.PublicKey:
		if k.Algorithm == RS256 || k.Algorithm == PS256 {
			return checkRSA(key)
		}
	case ed25519.PublicKey:
		if k.Algorithm.Canonical() == EdDSA && len(key) == ed25519.PublicKeySize {
			return nil
		}
	}
	return fmt.Errorf("%w: %T for %q", ErrWeakKey, k.Key, k.Algorithm)
}

// checkRSA refuses what crypto/rsa would refuse at the first signature, and checks the bounds.
func checkRSA(key *rsa.PublicKey) error {
	if key.N == nil || key.N.Bit(0) == 0 || key.N.BitLen() < MinRSABits || key.E < 3 || key.E%2 == 0 {
		return fmt.Errorf("%w: %s", ErrWeakKey, describeRSA(key))
	}
	if key.N.BitLen() > maxRSABits || key.E != rsaExponent {
		return fmt.Errorf("%w: %s", ErrCostlyKey, describeRSA(key))
	}
	return nil
}

func describeRSA(key *rsa.PublicKey) string {
	bits := 0
	if key.N != nil {
		bits = key.N.BitLen()
	}
	return fmt.Sprintf("an RSA modulus of %d bits with exponent %d; use %d to %d bits and exponent %d", bits, key.E, MinRSABits, maxRSABits, rsaExponent)
}
