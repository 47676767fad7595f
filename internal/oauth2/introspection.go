// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package oauth2

// MayIntrospect decides whether a caller learns anything of a token with these claims: the client that it was issued to, and
// the clients of the namespace that is its audience. Everyone else is told what is said of a token that never was.
func (i Issuer) MayIntrospect(caller *Client, claims Claims) bool {
	if caller.ID == claims.ClientID && caller.UID == claims.ClientUID {
		return true
	}
	return claims.Audience == i.NamespaceAudience(caller.Namespace)
}
