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
	"errors"
	"math/big"
	"strings"
)

// MaxSize bounds a compact serialisation in bytes. What is longer is refused before anything looks into it.
const MaxSize = 8 << 10

// The ways in which a token is refused here. A caller branches on them, so each has one meaning.
var (
	// ErrMalformed: not a compact JWS with a header that is allowed.
	ErrMalformed = errors.New("malformed JWS")
	// ErrSignature: the signature is not the key's, or the header names another algorithm than the key's.
	ErrSignature = errors.New("invalid signature")
)

// Header is what is read of a protected header.
type Header struct {
	Algorithm Algorithm
	KeyID     string
	Type      string
}

// Message is a compact JWS that was taken apart and not verified yet: nothing of its payload may be believed.
type Message struct {
	Header       Header
	signingInput string
	payload      []byte
	signature    []byte
}

// Parse takes a compact serialisation apart. It accepts canonical unpadded base64url only, so that no two strings are the
// same token.
func Parse(compact string) (Message, error) {
	if len(compact) > MaxSize || strings.Count(compact, ".") != 2 {
		return Message{}, ErrMalformed
	}
	header, rest, _ := strings.Cut(compact, ".")
	payload, signature, _ := strings.Cut(rest, ".")
	m := Message{signingInput: compact[:len(header)+1+len(payload)]}
	rawHeader, err := decodeSegment(header)
	if err != nil {
		return Message{}, err
	}
	if m.Header, err = parseHeader(rawHeader); err != nil {
		return Message{}, err
	}
	if m.payload, err = decodeSegment(payload); err != nil {
		return Message{}, err
	}
	if m.signature, err = decodeSegment(signature); err != nil {
		return Message{}, err
	}
	return m, nil
}

// Verify returns the payload if the signature is the key's.
func (m Message) Verify(key PublicKey) ([]byte, error) {
	if m.Header.Algorithm != key.Algorithm || key.Check() != nil {
		return nil, ErrSignature
	}
	digest := sha256.Sum256([]byte(m.signingInput))
	valid := false
	switch public := key.Key.(type) {
	case *ecdsa.PublicKey:
		valid = verifyES256(public, digest[:], m.signature)
	case *rsa.PublicKey:
		valid = rsa.VerifyPKCS1v15(public, crypto.SHA256, digest[:], m.signature) == nil
	case ed25519.PublicKey:
		valid = ed25519.Verify(public, []byte(m.signingInput), m.signature)
	}
	if !valid {
		return nil, ErrSignature
	}
	return m.payload, nil
}

// verifyES256 reads the signature as RFC 7518 section 3.4 has it: r and s of 32 bytes each. crypto/ecdsa refuses zero and
// out of range values.
func verifyES256(key *ecdsa.PublicKey, digest, signature []byte) bool {
	if len(signature) != 2*es256Size {
		return false
	}
	r := new(big.Int).SetBytes(signature[:es256Size])
	s := new(big.Int).SetBytes(signature[es256Size:])
	return ecdsa.Verify(key, digest, r, s)
}

// parseHeader reads the members that are known. A header that asks for more than a plain signature is refused, whether we
// would have understood it or not: crit (RFC 7515 section 4.1.11), keys and key addresses, compression, b64.
func parseHeader(raw []byte) (Header, error) {
	members, err := ParseObject(raw)
	if err != nil {
		return Header{}, ErrMalformed
	}
	var h Header
	for name := range members {
		switch name {
		case "alg", "kid", "typ", "x5t", "x5t#S256", "cty":
		default:
			return Header{}, ErrMalformed
		}
	}
	algorithm, err := members.String("alg")
	if err != nil {
		return Header{}, ErrMalformed
	}
	switch h.Algorithm = Algorithm(algorithm); h.Algorithm {
	case ES256, RS256, EdDSA:
	default:
		return Header{}, ErrMalformed
	}
	if h.KeyID, err = members.OptionalString("kid"); err != nil {
		return Header{}, ErrMalformed
	}
	if h.Type, err = members.OptionalString("typ"); err != nil {
		return Header{}, ErrMalformed
	}
	return h, nil
}

var strictBase64 = base64.RawURLEncoding.Strict()

func decodeSegment(s string) ([]byte, error) {
	if s == "" || strings.ContainsAny(s, "\r\n") { // encoding/base64 skips line breaks
		return nil, ErrMalformed
	}
	decoded, err := strictBase64.DecodeString(s)
	if err != nil {
		return nil, ErrMalformed
	}
	return decoded, nil
}
