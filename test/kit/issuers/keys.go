// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package issuers

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"

	"github.com/hallpass-dev/hallpass/internal/jws"
)

func generate(algorithm jws.Algorithm) (crypto.Signer, error) {
	switch algorithm {
	case jws.RS256, jws.PS256:
		return rsa.GenerateKey(rand.Reader, jws.MinRSABits)
	case jws.EdDSA:
		_, key, err := ed25519.GenerateKey(rand.Reader)
		return key, err
	default:
		return ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	}
}
