// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package jws

import (
	"bytes"
	"errors"
)

// JOSE has r and s of an ECDSA signature side by side (RFC 7518 section 3.4), crypto/ecdsa has
// ASN.1. math/big would cost more than the rest of reading a token.

// es256Size is the length of each half of an ES256 signature.
const es256Size = 32

const (
	derInteger  = 0x02
	derSequence = 0x30
)

var errDER = errors.New("unexpected form of an ECDSA signature")

// appendRawFromDER appends the 64 bytes of SEQUENCE { INTEGER r, INTEGER s }. The lengths of P-256
// take one byte.
func appendRawFromDER(dst, der []byte) ([]byte, error) {
	if len(der) < 2 || der[0] != derSequence || int(der[1]) != len(der)-2 {
		return nil, errDER
	}
	rest := der[2:]
	for range 2 {
		if len(rest) < 2 || rest[0] != derInteger || int(rest[1]) > len(rest)-2 {
			return nil, errDER
		}
		integer := bytes.TrimLeft(rest[2:2+int(rest[1])], "\x00")
		rest = rest[2+int(rest[1]):]
		if len(integer) > es256Size {
			return nil, errDER
		}
		var padding [es256Size]byte
		dst = append(dst, padding[:es256Size-len(integer)]...)
		dst = append(dst, integer...)
	}
	if len(rest) != 0 {
		return nil, errDER
	}
	return dst, nil
}

// derFromRaw converts r and s to ASN.1. It refuses a zero, the "psychic signature" of
// CVE-2022-21449.
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
