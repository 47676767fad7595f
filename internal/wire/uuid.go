// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package wire

import "encoding/hex"

// UUID is a UUID in binary.
type UUID [16]byte

const uuidLength = 36

// ParseUUID reads a UUID in lower case with four hyphens, the form of the UIDs of Kubernetes. It
// refuses every other form, so that UUID.String returns the same string. It does not allocate.
func ParseUUID(s string) (UUID, bool) {
	if len(s) != uuidLength {
		return UUID{}, false
	}
	var u UUID
	var digits [2 * len(u)]byte
	n := copy(digits[:], s[:8])
	n += copy(digits[n:], s[9:13])
	n += copy(digits[n:], s[14:18])
	n += copy(digits[n:], s[19:23])
	copy(digits[n:], s[24:])
	if _, err := hex.Decode(u[:], digits[:]); err != nil || !u.Is(s) {
		return UUID{}, false
	}
	return u, true
}

// String returns the form that ParseUUID reads.
func (u UUID) String() string {
	text := u.text()
	return string(text[:])
}

// Is reports whether s is the string form of the UUID. It does not allocate.
func (u UUID) Is(s string) bool {
	text := u.text()
	return string(text[:]) == s
}

func (u UUID) text() (text [uuidLength]byte) {
	hex.Encode(text[0:], u[:4])
	hex.Encode(text[9:], u[4:6])
	hex.Encode(text[14:], u[6:8])
	hex.Encode(text[19:], u[8:10])
	hex.Encode(text[24:], u[10:])
	text[8], text[13], text[18], text[23] = '-', '-', '-', '-'
	return text
}
