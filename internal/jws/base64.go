// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package jws

import (
	"encoding/base64"
	"strings"
)

// encoding/base64 ignores lineBreaks even if it is strict. They are refused, so that a value has
// one encoding.
const lineBreaks = "\r\n"

var (
	strictBase64    = base64.StdEncoding.Strict()
	strictBase64URL = base64.RawURLEncoding.Strict()
)

// DecodeBase64 decodes canonical base64 with padding (RFC 4648 section 4).
func DecodeBase64(text string) ([]byte, error) { return decodeStrict(strictBase64, text) }

// DecodeBase64URL decodes canonical base64url without padding (RFC 4648 section 5), as in JOSE.
func DecodeBase64URL(text string) ([]byte, error) { return decodeStrict(strictBase64URL, text) }

// AppendBase64URL appends what DecodeBase64URL returns, so that a short text needs no allocation.
func AppendBase64URL(decoded []byte, text string) ([]byte, error) {
	if at := strings.IndexAny(text, lineBreaks); at >= 0 {
		return decoded, base64.CorruptInputError(at) //nolint:wrapcheck // callers have a refusal of their own
	}
	return strictBase64URL.AppendDecode(decoded, []byte(text)) //nolint:wrapcheck // callers have a refusal of their own
}

func decodeStrict(encoding *base64.Encoding, text string) ([]byte, error) {
	if at := strings.IndexAny(text, lineBreaks); at >= 0 {
		return nil, base64.CorruptInputError(at) //nolint:wrapcheck // callers have a refusal of their own
	}
	return encoding.DecodeString(text) //nolint:wrapcheck // callers have a refusal of their own
}
