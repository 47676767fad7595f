// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package jws

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/sha256"
	"errors"
	"slices"
	"strings"

	"github.com/hallpass-dev/hallpass/internal/strictjson"
)

// MaxSize bounds a compact serialisation in bytes.
const MaxSize = 8 << 10

// The refusals of a token.
var (
	// ErrMalformed: not a compact JWS with an allowed header.
	ErrMalformed = errors.New("malformed JWS")
	// errSignature: the signature or the algorithm is not the key's.
	errSignature = errors.New("invalid signature")
)

// Header is a protected header.
type Header struct {
	// Algorithm is the canonical name.
	Algorithm Algorithm
	KeyID     string
	Type      string
}

// Message is a parsed JWS that is not verified yet.
type Message struct {
	Header       Header
	signingInput []byte
	payload      []byte
	signature    []byte
}

// Parse parses a compact serialisation in canonical base64url, so that a token has one encoding.
func Parse(compact string) (Message, error) { return ParseUpTo(compact, MaxSize) }

// ParseUpTo is Parse with another bound than MaxSize.
func ParseUpTo(compact string, size int) (Message, error) {
	if len(compact) > size || strings.Count(compact, ".") != 2 || strings.ContainsAny(compact, lineBreaks) {
		return Message{}, ErrMalformed
	}
	header, rest, _ := bytes.Cut([]byte(compact), []byte("."))
	payload, signature, _ := bytes.Cut(rest, []byte("."))
	m := Message{signingInput: header[: len(header)+1+len(payload) : len(header)+1+len(payload)]}

	var buffer [256]byte
	rawHeader, err := appendDecoded(buffer[:0], header)
	if err != nil {
		return Message{}, err
	}
	if m.Header, err = parseHeader(rawHeader); err != nil {
		return Message{}, err
	}
	decoded := make([]byte, 0, strictBase64URL.DecodedLen(len(payload))+strictBase64URL.DecodedLen(len(signature)))
	if decoded, err = appendDecoded(decoded, payload); err != nil {
		return Message{}, err
	}
	m.payload = slices.Clip(decoded)
	if decoded, err = appendDecoded(decoded, signature); err != nil {
		return Message{}, err
	}
	m.signature = decoded[len(m.payload):]
	return m, nil
}

// appendDecoded decodes a segment that has no line breaks.
func appendDecoded(dst, segment []byte) ([]byte, error) {
	if len(segment) == 0 {
		return nil, ErrMalformed
	}
	decoded, err := strictBase64URL.AppendDecode(dst, segment)
	if err != nil {
		return nil, ErrMalformed
	}
	return decoded, nil
}

// headerMembers are the allowed members, first those that are read. A header that asks for more
// than a plain signature is refused: crit (RFC 7515 section 4.1.11), keys and their addresses,
// compression, b64. The digests of a certificate, which some libraries send, are ignored.
var headerMembers = [...]string{"alg", "kid", "typ", "cty", "x5t", "x5t#S256"}

func parseHeader(raw []byte) (Header, error) {
	var seen [len(headerMembers)]bool
	var values [3]string
	err := strictjson.EachMember(string(raw), func(name, value string) error {
		i := slices.Index(headerMembers[:], name)
		if i < 0 || seen[i] {
			return ErrMalformed
		}
		seen[i] = true
		if i >= len(values) {
			return nil
		}
		var err error
		values[i], err = strictjson.StringMember(name, value)
		return err
	})
	if err != nil {
		return Header{}, ErrMalformed
	}
	h := Header{Algorithm: Algorithm(values[0]).Canonical(), KeyID: values[1], Type: values[2]}
	if !h.Algorithm.known() {
		return Header{}, ErrMalformed
	}
	return h, nil
}

// Unverified returns the payload before Verify, to find the key.
func (m Message) Unverified() []byte { return m.payload }

// Verify returns the payload if the signature is the key's.
func (m Message) Verify(key PublicKey) ([]byte, error) {
	if m.Header.Algorithm != key.Algorithm.Canonical() || key.Check() != nil {
		return nil, errSignature
	}
	if public, ok := key.Key.(ed25519.PublicKey); ok {
		if !ed25519.Verify(public, m.signingInput, m.signature) {
			return nil, errSignature
		}
		return m.payload, nil
	}
	digest := sha256.Sum256(m.signingInput)
	valid := false
	switch public := key.Key.(type) {
	case *ecdsa.PublicKey:
		der, ok := derFromRaw(m.signature)
		valid = ok && ecdsa.VerifyASN1(public, digest[:], der)
	case *rsa.PublicKey:
		if key.Algorithm == PS256 {
			valid = rsa.VerifyPSS(public, crypto.SHA256, digest[:], m.signature, &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash}) == nil
		} else {
			valid = rsa.VerifyPKCS1v15(public, crypto.SHA256, digest[:], m.signature) == nil
		}
	}
	if !valid {
		return nil, errSignature
	}
	return m.payload, nil
}
