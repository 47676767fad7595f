// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package oauth2

// IntrospectionTokenType is the typ header of a signed introspection answer (RFC 9701 section 5): it is never taken for an
// access token, nor an access token for it.
const IntrospectionTokenType = "token-introspection+jwt"

// MayIntrospect decides whether a caller learns anything of a token with these claims: the client that it was issued to, and
// the clients that serve its audience. They are the ones that a resource names, or those of its namespace if it names none; and
// those of the namespace that is the audience itself. Everyone else is told what is said of a token that never was.
func (i Issuer) MayIntrospect(caller *Client, claims Claims, resources Resources) bool {
	if caller.ID == claims.ClientID && caller.UID == claims.ClientUID {
		return true
	}
	if claims.Audience == i.NamespaceAudience(caller.Namespace) {
		return true
	}
	resource := resources.ResourceByIdentifier(claims.Audience)
	return resource != nil && resource.introspects(caller)
}
