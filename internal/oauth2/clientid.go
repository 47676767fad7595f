// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package oauth2

import (
	"encoding/hex"
	"strings"
)

// ValidClientID reports whether s can be a client identifier: printable ASCII without space, of
// bounded length. Only https: and urn: URIs have a colon, so that none begins with a prefix of user
// names such as system:, and none does to a reader that decodes percent signs.
func ValidClientID(s string) bool {
	colon := false
	for i := range len(s) {
		if c := s[i]; c <= 0x20 || c >= 0x7f {
			return false
		} else if c == ':' {
			colon = true
		}
	}
	return s != "" && len(s) <= maxClientIDLength && (!colon || strings.HasPrefix(s, "https://") || strings.HasPrefix(s, "urn:")) && !looksUser(s)
}

// looksUser reports whether s, once it is decoded, has a prefix of the names of users and service
// accounts, in any case.
func looksUser(s string) bool {
	if !strings.Contains(s, "%") { // then the colon is refused
		return false
	}
	s = strings.ToLower(decoded(s))
	return strings.HasPrefix(s, "user:") || strings.HasPrefix(s, "system:")
}

// IsExactClientID reports whether a client may choose the client_id only where a policy names it
// exactly, because it has a colon, or looks like the <namespace>.<name> of another client or may do
// so to a reader that decodes percent signs.
func IsExactClientID(clientID string) bool {
	return strings.ContainsAny(clientID, ":%") || looksDefault(strings.ToLower(clientID))
}

// NamespaceIn returns the namespace one of whose clients the client_id looks like, also once it is
// decoded. It is empty if there can be none.
func NamespaceIn(clientID string) string {
	id := strings.ToLower(decoded(clientID))
	if !looksDefault(id) {
		return ""
	}
	namespace, _, _ := strings.Cut(id, ".")
	return namespace
}

// decoded is s without percent-encoding, however often it was encoded. What is not encoded well
// stays as it is.
func decoded(s string) string {
	for at := 0; at+2 < len(s); at++ {
		if s[at] != '%' {
			continue
		}
		if octet, err := hex.DecodeString(s[at+1 : at+3]); err == nil {
			s = s[:at] + string(octet) + s[at+3:]
			at = max(at-2, 0) - 1 // it may complete the one before
		}
	}
	return s
}

// looksDefault reports whether s has at least two labels of a DNS name, as a namespace and a name
// do.
func looksDefault(s string) bool {
	labels := 0
	for label := range strings.SplitSeq(s, ".") {
		if labels++; !isLabel(label) {
			return false
		}
	}
	return labels > 1
}

func isLabel(s string) bool {
	for i := range len(s) {
		if c := s[i]; (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' {
			return false
		}
	}
	return s != "" && s[0] != '-' && s[len(s)-1] != '-'
}
