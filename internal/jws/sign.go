// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package jws

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"fmt"
	"strconv"
)

// Signer signs with one key. It is safe for concurrent use.
type Signer struct {
	public PublicKey
	key    crypto.Signer
	header []byte // the JSON of the protected header up to the value of typ
}

// NewSigner returns a Signer for ES256, RS256, EdDSA or Ed25519. The kid is the thumbprint of the
// public key.
func NewSigner(algorithm Algorithm, key crypto.Signer) (*Signer, error) {
	public := PublicKey{Algorithm: algorithm, Key: key.Public()}
	if err := public.Check(); err != nil {
		return nil, err
	}
	if algorithm == PS256 {
		return nil, fmt.Errorf("%w: %s is verified here and not made", ErrWeakKey, algorithm)
	}
	var err error
	if public.ID, err = Thumbprint(public.Key); err != nil {
		return nil, err
	}
	return &Signer{
		public: public, key: key,
		header: fmt.Appendf(nil, `{"alg":%q,"kid":%q,"typ":`, string(algorithm), public.ID),
	}, nil
}

// Public returns the public key.
func (s *Signer) Public() PublicKey { return s.public }

// Sign returns the compact serialisation. messageType is its typ, in printable ASCII.
func (s *Signer) Sign(messageType string, payload []byte) (string, error) {
	var buffer [1024]byte // most tokens fit, and then nothing but the string is allocated
	token, err := s.AppendSigned(buffer[:0], messageType, payload)
	return string(token), err
}

// AppendSigned is Sign with a buffer. ES256 signatures are deterministic (RFC 6979), which costs
// less and needs no randomness.
func (s *Signer) AppendSigned(dst []byte, messageType string, payload []byte) ([]byte, error) {
	start := len(dst)
	var buffer [256]byte
	header := strconv.AppendQuoteToASCII(append(buffer[:0], s.header...), messageType)
	dst = base64.RawURLEncoding.AppendEncode(dst, append(header, '}'))
	dst = append(dst, '.')
	dst = base64.RawURLEncoding.AppendEncode(dst, payload)
	signature, err := s.signature(dst[start:])
	if err != nil {
		return nil, fmt.Errorf("sign with %s: %w", s.public.Algorithm, err)
	}
	dst = append(dst, '.')
	return base64.RawURLEncoding.AppendEncode(dst, signature), nil
}

// Verify returns the payload if s made the signature. ES256 (RFC 6979) and Ed25519 (RFC 8032) are
// deterministic here, so it signs again and compares, in half the time of a verification. The
// comparison takes constant time, so that it reveals no signature. RSA is quicker to verify.
func (s *Signer) Verify(m Message) ([]byte, error) {
	algorithm := s.public.Algorithm.Canonical()
	if algorithm != ES256 && algorithm != EdDSA {
		return m.Verify(s.public)
	}
	if m.Header.Algorithm != algorithm {
		return nil, errSignature
	}
	made, err := s.signature(m.signingInput)
	if err != nil || subtle.ConstantTimeCompare(made, m.signature) != 1 {
		return nil, errSignature
	}
	return m.payload, nil
}

func (s *Signer) signature(input []byte) ([]byte, error) {
	if key, ok := s.key.(ed25519.PrivateKey); ok {
		return ed25519.Sign(key, input), nil
	}
	digest := sha256.Sum256(input)
	signature, err := s.key.Sign(nil, digest[:], crypto.SHA256)
	if err != nil {
		return nil, err //nolint:wrapcheck // AppendSigned names what failed
	}
	switch s.key.(type) {
	case *ecdsa.PrivateKey:
		return appendRawFromDER(make([]byte, 0, 2*es256Size), signature)
	case *rsa.PrivateKey:
		return signature, nil
	}
	return nil, fmt.Errorf("%w: %T", ErrWeakKey, s.key)
}
