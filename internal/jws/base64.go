// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package jws

import (
	"encoding/base64"
	"strings"
)

// encoding/base64 ignores lineBreaks even when it is strict; they are refused here, so that each value has one text.
const lineBreaks = "\r\n"

var (
	strictBase64    = base64.StdEncoding.Strict()
	strictBase64URL = base64.RawURLEncoding.Strict()
)

// DecodeBase64 reads base64 with padding (RFC 4648 section 4) that EncodeToString of the same value would return.
func DecodeBase64(text string) ([]byte, error) { return decodeStrict(strictBase64, text) }

// DecodeBase64URL reads base64url without padding (RFC 4648 section 5), the form of JOSE, that EncodeToString of the same
// value would return.
func DecodeBase64URL(text string) ([]byte, error) { return decodeStrict(strictBase64URL, text) }

func decodeStrict(encoding *base64.Encoding, text string) ([]byte, error) {
	if at := strings.IndexAny(text, lineBreaks); at >= 0 {
		return nil, base64.CorruptInputError(at) //nolint:wrapcheck // callers have a refusal of their own
	}
	return encoding.DecodeString(text) //nolint:wrapcheck // callers have a refusal of their own
}
