// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package jws

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"slices"

	"github.com/hallpass-dev/hallpass/internal/strictjson"
)

// The bounds of a key set.
const (
	// MaxKeySetSize bounds the document in bytes.
	MaxKeySetSize = 64 << 10
	// MaxKeys bounds the number of keys in it.
	MaxKeys = 100
	// maxKeyID bounds a kid in bytes.
	maxKeyID = 256
)

var (
	// ErrKeySet is wrapped by the refusal of a key set. The message quotes no more of it than a
	// kid.
	ErrKeySet = errors.New("invalid JWK set")
	// ErrNoKey means that a set has no key for a header.
	ErrNoKey = errors.New("no such key")

	errUnsupported = errors.New("not supported")
)

// KeySet is a set of public keys with distinct kids.
type KeySet struct {
	Keys []PublicKey
	// Unusable has an error for each key of the document that is not supported, not for
	// signatures, or wraps ErrCostlyKey. Readers ignore such keys (RFC 7517 section 5), unless
	// they report them to a user.
	Unusable []error
}

// ParseKeySet parses a JWK set (RFC 7517 section 5). It refuses one that is too large, or that has
// a private, shared, weak or broken key, or a duplicate kid.
func ParseKeySet(document []byte) (KeySet, error) { return parseKeySet(document, "sig") }

// ParseBundle parses a SPIFFE bundle, which is a JWK set, for the keys of JWT-SVIDs. Each has a use
// of its own and a kid (SPIFFE Trust Domain and Bundle section 4.2); the other keys are not read.
func ParseBundle(document []byte) (KeySet, error) { return parseKeySet(document, useJWTSVID) }

// useJWTSVID is the use of a key that signs JWT-SVIDs.
const useJWTSVID = "jwt-svid"

func parseKeySet(document []byte, use string) (KeySet, error) {
	if len(document) > MaxKeySetSize {
		return KeySet{}, fmt.Errorf("%w: %d bytes, at most %d are read", ErrKeySet, len(document), MaxKeySetSize)
	}
	members, err := strictjson.ParseObject(string(document))
	if err != nil {
		return KeySet{}, fmt.Errorf(`%w: not a JSON object with distinct members; it looks like {"keys":[{"kty":…}]}`, ErrKeySet)
	}
	var keys []json.RawMessage
	if err := json.Unmarshal([]byte(members["keys"]), &keys); err != nil || len(keys) == 0 {
		return KeySet{}, fmt.Errorf(`%w: the member "keys" must be an array of at least one key`, ErrKeySet)
	}
	if len(keys) > MaxKeys {
		return KeySet{}, fmt.Errorf("%w: %d keys, at most %d are read", ErrKeySet, len(keys), MaxKeys)
	}
	var set KeySet
	for i, raw := range keys {
		key, err := parseJWK(raw, use)
		switch {
		case errors.Is(err, errUnsupported), errors.Is(err, ErrCostlyKey):
			set.Unusable = append(set.Unusable, fmt.Errorf("key %d: %w", i+1, err))
		case err != nil:
			return KeySet{}, fmt.Errorf("%w: key %d: %w", ErrKeySet, i+1, err)
		case slices.ContainsFunc(set.Keys, func(other PublicKey) bool { return other.ID == key.ID }):
			return KeySet{}, fmt.Errorf("%w: key %d: the kid %q is there twice", ErrKeySet, i+1, key.ID)
		default:
			set.Keys = append(set.Keys, key)
		}
	}
	return set, nil
}

// Key returns the key that a header names. Without a kid it is the only key of the set: an attacker
// must not choose among several.
func (s KeySet) Key(header Header) (PublicKey, error) {
	for _, key := range s.Keys {
		if key.ID == header.KeyID || header.KeyID == "" && len(s.Keys) == 1 {
			if key.Algorithm.Canonical() != header.Algorithm.Canonical() {
				break
			}
			return key, nil
		}
	}
	return PublicKey{}, ErrNoKey
}

// privateMembers are those of private and shared keys (RFC 7518 section 6, RFC 8037 section 2).
var privateMembers = [...]string{"d", "p", "q", "dp", "dq", "qi", "oth", "k"}

// parseJWK parses one public key. The default alg of an RSA key is RS256, and the default kid the
// thumbprint.
func parseJWK(raw json.RawMessage, use string) (PublicKey, error) {
	members, err := strictjson.ParseObject(string(raw))
	if err != nil {
		return PublicKey{}, err
	}
	for _, name := range privateMembers {
		if _, there := members[name]; there {
			return PublicKey{}, fmt.Errorf("the member %q belongs to a private or shared key: "+
				"publish the public half alone, of a new key, because this one is known now", name)
		}
	}
	if err := forSignatures(members, use); err != nil {
		return PublicKey{}, err
	}
	key, err := readKey(members)
	if err != nil {
		return PublicKey{}, err
	}
	if key.ID, err = members.OptionalString("kid"); err != nil || len(key.ID) > maxKeyID {
		return PublicKey{}, fmt.Errorf("the kid must be a string of at most %d bytes", maxKeyID)
	}
	switch {
	case key.ID == "" && use == useJWTSVID:
		err = fmt.Errorf("%w: a key of a SPIFFE bundle without a kid", errUnsupported)
	case key.ID == "":
		key.ID, err = Thumbprint(key.Key)
	}
	return key, err
}

// forSignatures checks the use of a key (RFC 7517 sections 4.2 and 4.3). One that names none is for
// signatures.
func forSignatures(members strictjson.Object, wanted string) error {
	use, err := members.OptionalString("use")
	if err != nil {
		return err
	}
	if use != wanted && (use != "" || wanted == useJWTSVID) {
		return fmt.Errorf("%w: a key whose use is not %q", errUnsupported, wanted)
	}
	if _, there := members["key_ops"]; there {
		operations, err := members.Strings("key_ops")
		if err != nil {
			return err
		}
		if !slices.Contains(operations, "verify") {
			return fmt.Errorf(`%w: a key whose key_ops do not have "verify"`, errUnsupported)
		}
	}
	return nil
}

func readKey(members strictjson.Object) (PublicKey, error) {
	keyType, err := members.String("kty")
	if err != nil {
		return PublicKey{}, err
	}
	curve, err := members.OptionalString("crv")
	if err != nil {
		return PublicKey{}, err
	}
	var public crypto.PublicKey
	var algorithms []Algorithm // the first is meant where alg is not there
	switch {
	case keyType == "EC" && curve == "P-256":
		algorithms = []Algorithm{ES256}
		public, err = readP256(members)
	case keyType == "RSA":
		algorithms = []Algorithm{RS256, PS256}
		public, err = readRSA(members)
	case keyType == "OKP" && curve == curveEd25519:
		algorithms = []Algorithm{EdDSA}
		public, err = readEd25519(members)
	default:
		return PublicKey{}, fmt.Errorf("%w: key type %.16q with curve %.16q; use EC with P-256, RSA, or OKP with Ed25519", errUnsupported, keyType, curve)
	}
	if err != nil {
		return PublicKey{}, err
	}
	algorithm, err := members.OptionalString("alg")
	if err != nil {
		return PublicKey{}, err
	}
	switch algorithm {
	case "":
		return PublicKey{Algorithm: algorithms[0], Key: public}, nil
	case string(Ed25519):
		algorithm = string(EdDSA)
	}
	if !slices.Contains(algorithms, Algorithm(algorithm)) {
		return PublicKey{}, fmt.Errorf("%w: alg %.16q for this key; use one of %v", errUnsupported, algorithm, algorithms)
	}
	return PublicKey{Algorithm: Algorithm(algorithm), Key: public}, nil
}

func readP256(members strictjson.Object) (*ecdsa.PublicKey, error) {
	x, errX := octets(members, "x")
	y, errY := octets(members, "y")
	if err := errors.Join(errX, errY); err != nil {
		return nil, err
	}
	if len(x) != es256Size || len(y) != es256Size {
		return nil, fmt.Errorf("%w: x and y must have %d octets each (RFC 7518 section 6.2.1.2)", ErrWeakKey, es256Size)
	}
	const uncompressed = 4
	key, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), slices.Concat([]byte{uncompressed}, x, y))
	if err != nil {
		return nil, fmt.Errorf("%w: x and y are not a point of P-256", ErrWeakKey)
	}
	return key, nil
}

func readRSA(members strictjson.Object) (*rsa.PublicKey, error) {
	modulus, errN := octets(members, "n")
	exponent, errE := octets(members, "e")
	if err := errors.Join(errN, errE); err != nil {
		return nil, err
	}
	e := new(big.Int).SetBytes(exponent)
	if e.BitLen() > 31 {
		return nil, fmt.Errorf("%w: an RSA exponent of more than 31 bits; use %d", ErrWeakKey, rsaExponent)
	}
	key := &rsa.PublicKey{N: new(big.Int).SetBytes(modulus), E: int(e.Int64())}
	return key, checkRSA(key)
}

func readEd25519(members strictjson.Object) (ed25519.PublicKey, error) {
	x, err := octets(members, "x")
	if err != nil {
		return nil, err
	}
	if len(x) != ed25519.PublicKeySize {
		return nil, fmt.Errorf("%w: x must have %d octets", ErrWeakKey, ed25519.PublicKeySize)
	}
	return ed25519.PublicKey(x), nil
}

// octets reads a member in base64url.
func octets(members strictjson.Object, name string) ([]byte, error) {
	encoded, err := members.String(name)
	if err != nil {
		return nil, err
	}
	decoded, err := DecodeBase64URL(encoded)
	if err != nil {
		return nil, fmt.Errorf("%s is not base64url without padding", name)
	}
	return decoded, nil
}
