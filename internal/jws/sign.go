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
	"errors"
	"fmt"
)

// es256Size is the length of each half of an ES256 signature.
const es256Size = 32

// Signer makes compact signatures with one key. Headers are prepared once a type.
type Signer struct {
	id        string
	algorithm Algorithm
	key       crypto.Signer
}

// NewSigner prepares a private key for an algorithm. The kid of its signatures is the thumbprint of the public key.
func NewSigner(algorithm Algorithm, key crypto.Signer) (*Signer, error) {
	public := PublicKey{Algorithm: algorithm, Key: key.Public()}
	if err := public.Check(); err != nil {
		return nil, err
	}
	id, err := Thumbprint(public.Key)
	if err != nil {
		return nil, err
	}
	return &Signer{id: id, algorithm: algorithm, key: key}, nil
}

// Public returns the key that verifies what s signs.
func (s *Signer) Public() PublicKey {
	return PublicKey{ID: s.id, Algorithm: s.algorithm, Key: s.key.Public()}
}

// Header renders the protected header of messages of a type, encoded and ready for Sign.
func (s *Signer) Header(messageType string) string {
	header, err := json.Marshal(struct {
		Algorithm Algorithm `json:"alg"`
		KeyID     string    `json:"kid"`
		Type      string    `json:"typ"`
	}{s.algorithm, s.id, messageType})
	if err != nil {
		panic("jws: internal error: a header of three strings does not encode: " + err.Error())
	}
	return base64.RawURLEncoding.EncodeToString(header)
}

// Sign makes the compact serialisation of a payload under a header that Header rendered. ES256 signatures are
// deterministic (RFC 6979): no randomness is needed that could fail, and they cost less.
func (s *Signer) Sign(header string, payload []byte) (string, error) {
	out := make([]byte, 0, len(header)+base64.RawURLEncoding.EncodedLen(len(payload))+128)
	out = append(out, header...)
	out = append(out, '.')
	out = base64.RawURLEncoding.AppendEncode(out, payload)
	signature, err := s.signature(out)
	if err != nil {
		return "", err
	}
	out = append(out, '.')
	out = base64.RawURLEncoding.AppendEncode(out, signature)
	return string(out), nil
}

func (s *Signer) signature(input []byte) ([]byte, error) {
	switch key := s.key.(type) {
	case ed25519.PrivateKey:
		return ed25519.Sign(key, input), nil
	case *ecdsa.PrivateKey:
		digest := sha256.Sum256(input)
		der, err := key.Sign(nil, digest[:], crypto.SHA256)
		if err != nil {
			return nil, fmt.Errorf("sign with ES256: %w", err)
		}
		return rawFromDER(der)
	case *rsa.PrivateKey:
		digest := sha256.Sum256(input)
		signature, err := rsa.SignPKCS1v15(nil, key, crypto.SHA256, digest[:])
		if err != nil {
			return nil, fmt.Errorf("sign with RS256: %w", err)
		}
		return signature, nil
	}
	return nil, fmt.Errorf("%w: %T", ErrWeakKey, s.key)
}

var errDER = errors.New("unexpected form of an ECDSA signature")

// rawFromDER turns SEQUENCE { INTEGER r, INTEGER s } into the 64 bytes of RFC 7518 section 3.4. For P-256 every length fits
// one byte.
func rawFromDER(der []byte) ([]byte, error) {
	if len(der) < 2 || der[0] != 0x30 || int(der[1]) != len(der)-2 {
		return nil, errDER
	}
	raw, rest := make([]byte, 2*es256Size), der[2:]
	for half := range 2 {
		if len(rest) < 2 || rest[0] != 0x02 || int(rest[1]) > len(rest)-2 {
			return nil, errDER
		}
		integer := rest[2 : 2+int(rest[1])]
		rest = rest[2+int(rest[1]):]
		if len(integer) > es256Size && integer[0] == 0 {
			integer = integer[1:]
		}
		if len(integer) > es256Size {
			return nil, errDER
		}
		copy(raw[(half+1)*es256Size-len(integer):(half+1)*es256Size], integer)
	}
	if len(rest) != 0 {
		return nil, errDER
	}
	return raw, nil
}
