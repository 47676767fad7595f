// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package keyring

import (
	"crypto"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/hallpass-dev/hallpass/internal/jws"
)

const version = 1

// ErrUnreadable is wrapped by every failure to decode a ring.
var ErrUnreadable = errors.New("unreadable key ring")

// wireRing is the stored form of a ring; it holds private keys.
type wireRing struct {
	Version int       `json:"version"`
	Keys    []wireKey `json:"keys"`
}

type wireKey struct {
	Algorithm jws.Algorithm `json:"algorithm"`
	PKCS8     []byte        `json:"pkcs8"`
	ActiveAt  time.Time     `json:"activeAt"`
}

// Encode renders the ring with its private keys, for a place that only the two binaries can read.
func (r Ring) Encode() ([]byte, error) {
	w := wireRing{Version: version}
	for _, key := range r.keys {
		der, err := x509.MarshalPKCS8PrivateKey(key.private)
		if err != nil {
			return nil, fmt.Errorf("encode key %s: %w", key.ID(), err)
		}
		w.Keys = append(w.Keys, wireKey{Algorithm: key.Algorithm(), PKCS8: der, ActiveAt: key.ActiveAt})
	}
	document, err := json.Marshal(w)
	if err != nil {
		return nil, fmt.Errorf("encode key ring: %w", err)
	}
	return document, nil
}

// Decode reads a ring whole or not at all. Algorithms and key sizes are checked here, so that a weak key never gets to
// sign; an empty ring is refused, because nothing would be able to sign.
func Decode(document []byte) (Ring, error) {
	var w wireRing
	if err := json.Unmarshal(document, &w); err != nil {
		return Ring{}, fmt.Errorf("%w: not the JSON of a ring", ErrUnreadable)
	}
	if w.Version != version {
		return Ring{}, fmt.Errorf("%w: version %d, this build reads %d", ErrUnreadable, w.Version, version)
	}
	var ring Ring
	for i, wk := range w.Keys {
		parsed, err := x509.ParsePKCS8PrivateKey(wk.PKCS8)
		if err != nil {
			return Ring{}, fmt.Errorf("%w: key %d is not PKCS #8", ErrUnreadable, i)
		}
		private, ok := parsed.(crypto.Signer)
		if !ok || wk.ActiveAt.IsZero() {
			return Ring{}, fmt.Errorf("%w: key %d cannot sign or has no active instant", ErrUnreadable, i)
		}
		key, err := newSigningKey(wk.Algorithm, private, wk.ActiveAt)
		if err != nil {
			return Ring{}, fmt.Errorf("%w: key %d: %w", ErrUnreadable, i, err)
		}
		if _, err := ring.VerificationKey(key.ID()); err == nil {
			return Ring{}, fmt.Errorf("%w: key %s is there twice", ErrUnreadable, key.ID())
		}
		ring.keys = append(ring.keys, key)
	}
	if ring.Empty() {
		return Ring{}, fmt.Errorf("%w: no keys", ErrUnreadable)
	}
	return ring, nil
}
