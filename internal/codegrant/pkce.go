// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package codegrant

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"strings"
)

// The length of a code_verifier (RFC 7636 section 4.1).
const (
	minVerifier = 43
	maxVerifier = 128
)

// ProvesVerifier reports whether a code_challenge of the method S256 was made of a code_verifier
// (RFC 7636 section 4.6). It takes the same time whatever the verifier is.
func ProvesVerifier(challenge, verifier string) bool {
	if !isVerifier(verifier) {
		return false
	}
	sum := sha256.Sum256([]byte(verifier))
	return subtle.ConstantTimeCompare([]byte(base64.RawURLEncoding.EncodeToString(sum[:])), []byte(challenge)) == 1
}

// isVerifier reports whether s has the form of a code_verifier.
func isVerifier(s string) bool {
	if len(s) < minVerifier || len(s) > maxVerifier {
		return false
	}
	for i := range len(s) {
		if c := s[i]; (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && strings.IndexByte("-._~", c) < 0 {
			return false
		}
	}
	return true
}

// Nonce is the nonce of a login (OpenID Connect Core 1.0 section 3.1.2.1): a hash of its sealed
// ticket, so that an ID token belongs to one ticket.
func Nonce(ticket string) string {
	sum := sha256.Sum256([]byte("hallpass nonce " + ticket))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}
