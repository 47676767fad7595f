// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package verify

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"slices"
	"strings"

	"github.com/hallpass-dev/hallpass/client/internal/strictjson"
)

const (
	// maxSize bounds a token; Hallpass issues none that is longer.
	maxSize = 8 << 10
	// tokenType is the typ of an access token (RFC 9068 section 2.1).
	tokenType = "at+jwt"

	es256, rs256, ps256, edDSA, ed25519Name = "ES256", "RS256", "PS256", "EdDSA", "Ed25519"
	es256Size                               = 32
	derInteger, derSequence                 = 0x02, 0x30
)

var (
	errMalformed = errors.New("it is no JWS with an allowed header")
	errType      = errors.New("its typ is not at+jwt")
	errSignature = errors.New("its signature is not that of the key")
)

// strictBase64URL is unpadded and canonical, so that a token has one encoding.
var strictBase64URL = base64.RawURLEncoding.Strict()

// message is a JWS that is not verified yet.
type message struct {
	algorithm, keyID, typ string
	newHeader             bool
	// Slices of a scratch, which end with it: kept is the token and the payload.
	signingInput, kept, signature []byte
}

// scratch is reused for one token after the other: the token, its decoded payload and its decoded
// signature, behind each other. What is kept of a good one, the token and the payload, is one copy.
type scratch []byte

// header is the protected header of the token before. Nearly all tokens have the same.
type header struct{ segment, algorithm, keyID, typ string }

func (h *header) differs(segment string) bool { return h == nil || h.segment != segment }

// parse reads a compact serialisation (RFC 7515 section 7.1).
func (v *Verifier) parse(raw string, s *scratch) (message, error) {
	// base64 ignores line breaks
	if len(raw) > maxSize || strings.Count(raw, ".") != 2 || strings.IndexByte(raw, '\r') >= 0 || strings.IndexByte(raw, '\n') >= 0 {
		return message{}, errMalformed
	}
	segment, rest, _ := strings.Cut(raw, ".")
	payload, signature, _ := strings.Cut(rest, ".")
	if payload == "" || signature == "" {
		return message{}, errMalformed
	}
	var m message
	if last := v.header.Load(); !last.differs(segment) {
		m.algorithm, m.keyID, m.typ = last.algorithm, last.keyID, last.typ
	} else if err := m.parseHeader(segment); err != nil {
		return message{}, errMalformed
	}
	signed := len(segment) + 1 + len(payload)
	*s = append((*s)[:0], raw...)
	all, err := strictBase64URL.AppendDecode(*s, (*s)[len(segment)+1:signed])
	if err != nil {
		return message{}, errMalformed
	}
	kept := len(all)
	if all, err = strictBase64URL.AppendDecode(all, all[signed+1:len(raw)]); err != nil {
		return message{}, errMalformed
	}
	*s = all
	m.signingInput, m.kept, m.signature = all[:signed], all[:kept], all[kept:]
	return m, nil
}

// headerMembers are the allowed members, first those that are read. A header that asks for more
// than a plain signature is refused: crit (RFC 7515 section 4.1.11), keys and their addresses,
// compression, b64.
var headerMembers = [...]string{"alg", "kid", "typ", "cty", "x5t", "x5t#S256"}

func (m *message) parseHeader(segment string) error {
	raw, err := strictBase64URL.DecodeString(segment)
	if err != nil {
		return errMalformed
	}
	var seen [len(headerMembers)]bool
	m.newHeader = true
	read := [...]*string{&m.algorithm, &m.keyID, &m.typ}
	return strictjson.EachMember(string(raw), func(name, value string) error {
		i := slices.Index(headerMembers[:], name)
		if i < 0 || seen[i] {
			return errMalformed
		}
		seen[i] = true
		if i >= len(read) {
			return nil
		}
		var err error
		*read[i], err = strictjson.StringMember(name, value)
		return err
	})
}

// publicKey is a key of the issuer.
type publicKey struct {
	algorithm string
	key       crypto.PublicKey
}

// verify checks the signature. The key alone decides the algorithm: a token that names another one
// is refused.
func (k *publicKey) verify(m *message) error {
	// RFC 9864
	if m.algorithm != k.algorithm && (k.algorithm != edDSA || m.algorithm != ed25519Name) {
		return errSignature
	}
	valid := false
	switch key := k.key.(type) {
	case ed25519.PublicKey:
		valid = ed25519.Verify(key, m.signingInput, m.signature)
	case *ecdsa.PublicKey:
		digest := sha256.Sum256(m.signingInput)
		der, ok := derFromRaw(m.signature)
		valid = ok && ecdsa.VerifyASN1(key, digest[:], der)
	case *rsa.PublicKey:
		digest := sha256.Sum256(m.signingInput)
		if k.algorithm == ps256 {
			valid = rsa.VerifyPSS(key, crypto.SHA256, digest[:], m.signature, &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash}) == nil
		} else {
			valid = rsa.VerifyPKCS1v15(key, crypto.SHA256, digest[:], m.signature) == nil
		}
	}
	if !valid {
		return errSignature
	}
	return nil
}

// derFromRaw converts r and s side by side (RFC 7518 section 3.4) to ASN.1. It refuses a zero, the
// "psychic signature" of CVE-2022-21449.
func derFromRaw(raw []byte) ([]byte, bool) {
	if len(raw) != 2*es256Size {
		return nil, false
	}
	der := make([]byte, 2, 2+2*(3+es256Size))
	for _, half := range [][]byte{raw[:es256Size], raw[es256Size:]} {
		integer := bytes.TrimLeft(half, "\x00")
		if len(integer) == 0 {
			return nil, false
		}
		size := byte(len(integer)) //nolint:gosec // at most es256Size
		if integer[0]&0x80 != 0 {  // ASN.1 integers are signed
			der = append(der, derInteger, size+1, 0)
		} else {
			der = append(der, derInteger, size)
		}
		der = append(der, integer...)
	}
	der[0], der[1] = derSequence, byte(len(der)-2) //nolint:gosec // at most 70
	return der, true
}
