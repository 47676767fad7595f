// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package oauth2

import (
	"slices"
	"strings"
)

// ValidScopeToken reports whether s is one scope-token (RFC 6749 section 3.3).
func ValidScopeToken(s string) bool {
	for i := range len(s) {
		if c := s[i]; c < 0x21 || c > 0x7e || c == '"' || c == '\\' {
			return false
		}
	}
	return s != ""
}

// ParseScope splits a scope parameter at single spaces into distinct tokens, in their order.
func ParseScope(scope string) ([]string, error) {
	if scope == "" {
		return nil, nil
	}
	var tokens []string
	for token := range strings.SplitSeq(scope, " ") {
		if !ValidScopeToken(token) {
			return nil, Refuse(InvalidScope, ReasonMalformedRequest,
				"scope must be scope names separated by single spaces (RFC 6749 section 3.3)")
		}
		if !slices.Contains(tokens, token) {
			tokens = append(tokens, token)
		}
	}
	return tokens, nil
}
