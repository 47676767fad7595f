// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package oauth2

import (
	"errors"
	"strings"
)

// The refusals of a declared secret, which complete "the client secret in Secret x …".
var (
	errSecretEmpty     = errors.New("is missing or empty")
	errSecretShort     = errors.New("has fewer than 22 characters")
	errSecretLong      = errors.New("has more than 1024 characters")
	errSecretPrintable = errors.New("is not printable ASCII, or begins or ends with a space or a line break")
	errSecretTrivial   = errors.New("is a repetition or a sequence and no random value")
	errSecretTypo      = errors.New("begins with hp_ but its checksum is wrong: it was mistyped or cut off")
)

// minDistinct is the least number of different characters: 128 random bits in base64 or hexadecimal
// have fewer with a chance below one in ten million.
const minDistinct = 8

// CheckDeclaredSecret refuses a secret of a user that cannot have 128 random bits. Verifiers are a
// fast hash, which is enough for random secrets only.
func CheckDeclaredSecret(secret Secret) error {
	s := secret.Reveal()
	switch {
	case s == "":
		return errSecretEmpty
	case len(s) < minSecretLength:
		return errSecretShort
	case len(s) > maxSecretLength:
		return errSecretLong
	case strings.ContainsFunc(s, func(r rune) bool { return r < 0x20 || r > 0x7e }), strings.TrimSpace(s) != s:
		return errSecretPrintable
	case trivial(s):
		return errSecretTrivial
	case strings.HasPrefix(s, ClientSecretPrefix):
		if _, err := ParseClientSecret(secret); err != nil {
			return errSecretTypo
		}
	}
	return nil
}

// CutDeclaredSecret returns what CheckDeclaredSecret has to see of a value: it refuses a longer
// one.
func CutDeclaredSecret(value []byte) []byte { return value[:min(len(value), maxSecretLength+1)] }

// trivial finds few different characters, repetitions, and sequences such as abcdef.
func trivial(s string) bool {
	distinct := map[byte]bool{}
	steps := map[int]int{}
	for i := range len(s) {
		distinct[s[i]] = true
		if i > 0 {
			steps[int(s[i])-int(s[i-1])]++
		}
	}
	if len(distinct) < minDistinct || 2*max(steps[1], steps[-1]) > len(s) {
		return true
	}
	// A repetition is found in its double before its own length.
	return strings.Index((s + s)[1:], s) < len(s)/2
}
