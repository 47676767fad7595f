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
	var all byte
	for i, at := range uuidDigits {
		high, low := digitOf[s[at]], digitOf[s[at+1]]
		all |= high | low
		u[i] = high<<4 | low
	}
	if all > 0xf || s[8] != '-' || s[13] != '-' || s[18] != '-' || s[23] != '-' {
		return UUID{}, false
	}
	return u, true
}

// uuidDigits are where the two digits of each byte stand.
var uuidDigits = [len(UUID{})]byte{0, 2, 4, 6, 9, 11, 14, 16, 19, 21, 24, 26, 28, 30, 32, 34} //nolint:gochecknoglobals // a constant

// digitOf is the value of a digit in lower case, and 0xff of another byte.
var digitOf = func() (values [256]byte) { //nolint:gochecknoglobals // a constant table
	for i := range values {
		values[i] = 0xff
	}
	var value byte
	for _, digit := range []byte("0123456789abcdef") {
		values[digit] = value
		value++
	}
	return values
}()

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
