// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package keyring

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"fmt"
	"io"
	"time"

	"github.com/hallpass-dev/hallpass/internal/jws"
)

// Life has the instants of a key. RetiredAt and GoneAt are zero until they are decided.
type Life struct {
	PublishedAt time.Time
	ActiveAt    time.Time
	RetiredAt   time.Time
	GoneAt      time.Time
}

// State is the state of a key at an instant.
type State string

// The states of a key, in their order.
const (
	Published State = "Published" // in the JWK set and not signing yet
	Active    State = "Active"    // signing
	// Retired is in the JWK set until the last token that it signed has expired.
	Retired State = "Retired"
	Gone    State = "Gone"
)

// State returns the state at an instant.
func (l Life) State(now time.Time) State {
	switch {
	case !l.GoneAt.IsZero() && !now.Before(l.GoneAt):
		return Gone
	case !l.RetiredAt.IsZero() && !now.Before(l.RetiredAt):
		return Retired
	case !now.Before(l.ActiveAt):
		return Active
	}
	return Published
}

// hasRetired reports whether a key has retired by an instant; it may be gone too.
func (l Life) hasRetired(now time.Time) bool {
	state := l.State(now)
	return state == Retired || state == Gone
}

// SigningKey is a key of a ring. Its private half leaves the package by Ring.Encode only.
type SigningKey struct {
	Life
	*jws.Signer

	private crypto.Signer
	jwk     []byte // its entry in the JWK set
}

// Generate makes a private key from the system's randomness; RSA keys have 2048 bits.
func Generate(algorithm jws.Algorithm) (crypto.Signer, error) {
	var private crypto.Signer
	var err error
	switch algorithm {
	case jws.ES256:
		private, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case jws.RS256:
		private, err = rsa.GenerateKey(rand.Reader, jws.MinRSABits)
	case jws.EdDSA, jws.Ed25519:
		_, private, err = ed25519.GenerateKey(rand.Reader)
	default:
		return nil, fmt.Errorf("generate signing key: tokens are not signed with %q", algorithm)
	}
	if err != nil {
		return nil, fmt.Errorf("generate signing key: %w", err)
	}
	return private, nil
}

func newSigningKey(algorithm jws.Algorithm, private crypto.Signer, life Life) (*SigningKey, error) {
	signer, err := jws.NewSigner(algorithm, private)
	if err != nil {
		return nil, fmt.Errorf("prepare signing key: %w", err)
	}
	jwk, err := signer.Public().JWK()
	if err != nil {
		return nil, fmt.Errorf("render signing key: %w", err)
	}
	rendered, err := json.Marshal(jwk)
	if err != nil {
		return nil, fmt.Errorf("render signing key: %w", err)
	}
	return &SigningKey{Life: life, Signer: signer, private: private, jwk: rendered}, nil
}

// ID is the kid: the RFC 7638 thumbprint.
func (k *SigningKey) ID() string { return k.Public().ID }

// Algorithm is the algorithm of its signatures.
func (k *SigningKey) Algorithm() jws.Algorithm { return k.Public().Algorithm }

// Format implements fmt.Formatter. It prints the kid only.
func (k *SigningKey) Format(state fmt.State, _ rune) { _, _ = io.WriteString(state, "key "+k.ID()) }

// living returns the key with another life.
func (k *SigningKey) living(life Life) *SigningKey {
	changed := *k
	changed.Life = life
	return &changed
}
