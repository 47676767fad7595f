// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package jws

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"math/big"
	"slices"
	"strings"
)

// PackedKeys are the public keys of a set in their shortest form: of each its algorithm, its kid
// and the octets of its JWK. A parsed key takes up to ten times the memory, and is needed for one
// signature. Only the key that a header selects is parsed. The zero PackedKeys are no keys.
type PackedKeys string

// packedAlgorithms are the algorithms by their number in PackedKeys, which snapshots contain.
var packedAlgorithms = [...]Algorithm{ES256, RS256, PS256, EdDSA} //nolint:gochecknoglobals // a constant list

// PackKeys packs public keys. It refuses a key that Check refuses.
func PackKeys(keys ...PublicKey) (PackedKeys, error) {
	var packed []byte
	for _, key := range keys {
		if err := key.Check(); err != nil {
			return "", fmt.Errorf("pack key %q: %w", key.ID, err)
		}
		material, err := key.material()
		if err != nil {
			return "", fmt.Errorf("pack key %q: %w", key.ID, err)
		}
		packed = append(packed, byte(slices.Index(packedAlgorithms[:], key.Algorithm.Canonical()))) //nolint:gosec // Check knows the algorithm
		packed = append(binary.AppendUvarint(packed, uint64(len(key.ID))), key.ID...)
		packed = append(binary.AppendUvarint(packed, uint64(len(material))), material...)
	}
	return PackedKeys(packed), nil
}

// material is x and y of a P-256 key, x of an Ed25519 key, or the modulus of an RSA key, whose
// exponent is always rsaExponent.
func (k PublicKey) material() ([]byte, error) {
	switch key := k.Key.(type) {
	case *ecdsa.PublicKey:
		point, err := key.Bytes()
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrWeakKey, err)
		}
		return point[1:], nil
	case *rsa.PublicKey:
		return key.N.Bytes(), nil
	case ed25519.PublicKey:
		return key, nil
	}
	return nil, fmt.Errorf("%w: %T", ErrWeakKey, k.Key)
}

// packedKey is a key of PackedKeys that is not parsed.
type packedKey struct {
	algorithm    Algorithm
	id, material string
}

// next returns the first of the keys, and the keys after it; ok is false if there is none.
func (p PackedKeys) next() (key packedKey, rest PackedKeys, ok bool) {
	if len(p) == 0 || int(p[0]) >= len(packedAlgorithms) {
		return packedKey{}, "", false
	}
	key.algorithm = packedAlgorithms[p[0]]
	rest = p[1:]
	for _, text := range []*string{&key.id, &key.material} {
		size, n := uvarint(string(rest))
		if n <= 0 || size > uint64(len(rest)-n) { //nolint:gosec // n is within rest
			return packedKey{}, "", false
		}
		*text, rest = string(rest[n:n+int(size)]), rest[n+int(size):] //nolint:gosec // at most the length of rest
	}
	return key, rest, true
}

// uvarint is binary.Uvarint of a string, without a copy of it.
func uvarint(s string) (value uint64, n int) {
	var head [binary.MaxVarintLen64]byte
	return binary.Uvarint(head[:copy(head[:], s)])
}

// Valid reports whether these are what PackKeys packs, but for the octets of each key.
func (p PackedKeys) Valid() bool {
	for len(p) > 0 {
		_, rest, ok := p.next()
		if !ok {
			return false
		}
		p = rest
	}
	return true
}

// IDs returns the kids of the keys.
func (p PackedKeys) IDs() (ids []string) {
	for key, rest, ok := p.next(); ok; key, rest, ok = rest.next() {
		ids = append(ids, key.id)
	}
	return ids
}

// Also returns those of the keys that other keys have, too.
func (p PackedKeys) Also(other PackedKeys) (both PackedKeys) {
	known := map[packedKey]bool{}
	for key, rest, ok := other.next(); ok; key, rest, ok = rest.next() {
		known[key] = true
	}
	for len(p) > 0 {
		key, rest, ok := p.next()
		if !ok {
			break
		}
		if known[key] {
			both += p[:len(p)-len(rest)]
		}
		p = rest
	}
	return both
}

// JWKs renders the keys for a JWK set. It parses none of them.
func (p PackedKeys) JWKs() []JWK {
	encode := func(octets string) string { return base64.RawURLEncoding.EncodeToString([]byte(octets)) }
	jwks := []JWK{}
	for key, rest, ok := p.next(); ok; key, rest, ok = rest.next() {
		jwk := JWK{Use: "sig", Algorithm: key.algorithm, KeyID: key.id}
		switch key.algorithm {
		case ES256:
			half := len(key.material) / 2
			jwk.KeyType, jwk.Curve, jwk.X, jwk.Y = "EC", "P-256", encode(key.material[:half]), encode(key.material[half:])
		case EdDSA, Ed25519:
			jwk.KeyType, jwk.Curve, jwk.X = "OKP", curveEd25519, encode(key.material)
		case RS256, PS256:
			jwk.KeyType, jwk.Modulus, jwk.Exponent = "RSA", encode(key.material), encode(string(big.NewInt(rsaExponent).Bytes()))
		}
		jwks = append(jwks, jwk)
	}
	return jwks
}

// Key returns the key that a header names, under the rules of KeySet.Key.
func (p PackedKeys) Key(header Header) (PublicKey, error) {
	isOnly := true
	for key, rest, ok := p.next(); ok; key, rest, ok = rest.next() {
		if isOnly = isOnly && rest == ""; key.id != header.KeyID && (header.KeyID != "" || !isOnly) {
			isOnly = false
			continue
		}
		if key.algorithm != header.Algorithm.Canonical() {
			break
		}
		return key.parse()
	}
	return PublicKey{}, ErrNoKey
}

func (k packedKey) parse() (PublicKey, error) {
	public := PublicKey{ID: strings.Clone(k.id), Algorithm: k.algorithm}
	switch k.algorithm {
	case ES256:
		var point [1 + 2*es256Size]byte
		point[0] = 4 // uncompressed
		if copy(point[1:], k.material) != len(k.material) {
			return PublicKey{}, ErrWeakKey
		}
		key, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), point[:])
		if err != nil {
			return PublicKey{}, fmt.Errorf("%w: %w", ErrWeakKey, err)
		}
		public.Key = key
	case RS256, PS256:
		public.Key = &rsa.PublicKey{N: new(big.Int).SetBytes([]byte(k.material)), E: rsaExponent}
	case EdDSA, Ed25519:
		public.Key = ed25519.PublicKey(k.material)
	}
	return public, nil
}
