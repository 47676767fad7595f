// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

// Package keyring holds the keys that sign tokens and says which of them signs, and which of them verify, at an instant.
// It is pure: a Ring is a value that nothing changes, time is an argument and randomness a reader. It publishes the
// public halves as a JWK set (RFC 7517) and knows nothing of where a ring is kept.
package keyring

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"time"

	"github.com/hallpass-dev/hallpass/internal/jws"
)

var (
	// ErrUnknownKey says that no key of the ring has that kid.
	ErrUnknownKey = errors.New("unknown signing key")
	// ErrNoSigningKey says that no key of the ring signs at that instant.
	ErrNoSigningKey = errors.New("no active signing key")
)

// Ring is a set of signing keys with the instants of their lives. The zero Ring is empty. It prints no private key.
type Ring struct{ keys []*SigningKey }

// SigningKey is one key of a ring.
type SigningKey struct {
	// ActiveAt is the instant from which the key signs, until a later key's.
	ActiveAt time.Time

	signer  *jws.Signer
	private crypto.Signer
}

// New makes a ring with one ES256 key that signs from now on.
func New(now time.Time, random io.Reader) (Ring, error) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), random)
	if err != nil {
		return Ring{}, fmt.Errorf("generate signing key: %w", err)
	}
	key, err := newSigningKey(jws.ES256, private, now)
	if err != nil {
		return Ring{}, err
	}
	return Ring{keys: []*SigningKey{key}}, nil
}

func newSigningKey(algorithm jws.Algorithm, private crypto.Signer, activeAt time.Time) (*SigningKey, error) {
	signer, err := jws.NewSigner(algorithm, private)
	if err != nil {
		return nil, fmt.Errorf("prepare signing key: %w", err)
	}
	return &SigningKey{ActiveAt: activeAt.UTC().Truncate(time.Second), signer: signer, private: private}, nil
}

// ID is the kid of the key: its RFC 7638 thumbprint.
func (k *SigningKey) ID() string { return k.signer.Public().ID }

// Algorithm is the algorithm that the key signs with.
func (k *SigningKey) Algorithm() jws.Algorithm { return k.signer.Public().Algorithm }

// Sign makes a compact JWS of a payload whose header names the key and the message type.
func (k *SigningKey) Sign(messageType string, payload []byte) (string, error) {
	return k.signer.Sign(messageType, payload)
}

// Format implements fmt.Formatter: a key shows its kid and nothing else.
func (k *SigningKey) Format(state fmt.State, _ rune) { _, _ = io.WriteString(state, "key "+k.ID()) }

// Empty reports whether the ring has no key at all.
func (r Ring) Empty() bool { return len(r.keys) == 0 }

// SigningKey is the key that signs at that instant: the one that became active last.
func (r Ring) SigningKey(now time.Time) (*SigningKey, error) {
	var signing *SigningKey
	for _, key := range r.keys {
		if !key.ActiveAt.After(now) && (signing == nil || key.ActiveAt.After(signing.ActiveAt)) {
			signing = key
		}
	}
	if signing == nil {
		return nil, ErrNoSigningKey
	}
	return signing, nil
}

// VerificationKey is the key with that kid. One that is published and does not sign yet verifies too: another replica's
// clock may be ahead of ours.
func (r Ring) VerificationKey(kid string) (jws.PublicKey, error) {
	for _, key := range r.keys {
		if kid != "" && key.ID() == kid {
			return key.signer.Public(), nil
		}
	}
	return jws.PublicKey{}, ErrUnknownKey
}

// Algorithms are the algorithms of the keys in the ring, each once.
func (r Ring) Algorithms() []jws.Algorithm {
	var algorithms []jws.Algorithm
	for _, key := range r.keys {
		if !slices.Contains(algorithms, key.Algorithm()) {
			algorithms = append(algorithms, key.Algorithm())
		}
	}
	return algorithms
}

// JWKS renders the public halves as a JWK set (RFC 7517 section 5).
func (r Ring) JWKS() ([]byte, error) {
	set := struct {
		Keys []jws.JWK `json:"keys"`
	}{Keys: []jws.JWK{}}
	for _, key := range r.keys {
		jwk, err := key.signer.Public().JWK()
		if err != nil {
			return nil, fmt.Errorf("render key %s: %w", key.ID(), err)
		}
		set.Keys = append(set.Keys, jwk)
	}
	document, err := json.Marshal(set)
	if err != nil {
		return nil, fmt.Errorf("render key set: %w", err)
	}
	return document, nil
}

// Format implements fmt.Formatter for every verb.
func (r Ring) Format(state fmt.State, _ rune) {
	_, _ = fmt.Fprintf(state, "ring of %d keys", len(r.keys))
}

// LogValue implements slog.LogValuer.
func (r Ring) LogValue() slog.Value { return slog.StringValue(fmt.Sprint(r)) }
