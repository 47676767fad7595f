// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package jws

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/big"
)

// JWK is a public key in JSON (RFC 7517 section 4), with its members in the order of RFC 7638, so
// that the required ones are the input of a thumbprint.
type JWK struct {
	Curve     string    `json:"crv,omitempty"`
	Exponent  string    `json:"e,omitempty"`
	KeyType   string    `json:"kty"`
	Modulus   string    `json:"n,omitempty"`
	X         string    `json:"x,omitempty"`
	Y         string    `json:"y,omitempty"`
	Use       string    `json:"use,omitempty"`
	Algorithm Algorithm `json:"alg,omitempty"`
	KeyID     string    `json:"kid,omitempty"`
}

// JWK renders a public key for a JWK set.
func (k PublicKey) JWK() (JWK, error) {
	jwk, err := required(k.Key)
	if err != nil {
		return JWK{}, err
	}
	jwk.Use, jwk.Algorithm, jwk.KeyID = "sig", k.Algorithm, k.ID
	return jwk, nil
}

// Thumbprint is the RFC 7638 SHA-256 thumbprint of a public key in base64url.
func Thumbprint(key crypto.PublicKey) (string, error) {
	jwk, err := required(key)
	if err != nil {
		return "", err
	}
	canonical, err := json.Marshal(jwk)
	if err != nil {
		return "", fmt.Errorf("render key for its thumbprint: %w", err)
	}
	sum := sha256.Sum256(canonical)
	return base64.RawURLEncoding.EncodeToString(sum[:]), nil
}

// curveEd25519 is the crv of RFC 8037 section 2.
const curveEd25519 = "Ed25519"

// required returns the members that make the key (RFC 7638 section 3.2, RFC 8037 appendix A.3).
func required(key crypto.PublicKey) (JWK, error) {
	encode := base64.RawURLEncoding.EncodeToString
	switch key := key.(type) {
	case *ecdsa.PublicKey:
		point, err := key.Bytes()
		if err != nil || len(point) != 1+2*es256Size {
			return JWK{}, fmt.Errorf("%w: not a P-256 key", ErrWeakKey)
		}
		return JWK{KeyType: "EC", Curve: "P-256", X: encode(point[1 : 1+es256Size]), Y: encode(point[1+es256Size:])}, nil
	case *rsa.PublicKey:
		return JWK{KeyType: "RSA", Modulus: encode(key.N.Bytes()), Exponent: encode(big.NewInt(int64(key.E)).Bytes())}, nil
	case ed25519.PublicKey:
		return JWK{KeyType: "OKP", Curve: curveEd25519, X: encode(key)}, nil
	}
	return JWK{}, fmt.Errorf("%w: %T", ErrWeakKey, key)
}
