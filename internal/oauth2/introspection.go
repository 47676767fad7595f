// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package oauth2

// IntrospectionTokenType is the typ header of a signed introspection response (RFC 9701 section 5).
const IntrospectionTokenType = "token-introspection+jwt"

// MayIntrospect decides whether a caller learns about a token: the client that it was issued to,
// and the clients that serve its audience. Those are the ones that a resource names, or else those
// of its namespace. All others get the response about an unknown token.
func (i Issuer) MayIntrospect(caller *Client, claims *Claims, resources Resources) bool {
	return caller.ID == claims.ClientID && caller.UID == claims.ClientUID || caller.Serves(claims.Audience, i.NamespaceAudience(caller.Namespace), resources)
}

// Serves reports whether the client serves an audience, so that the tokens for it are sent to the
// client. own is the audience of the client's namespace.
func (c *Client) Serves(audience, own string, resources Resources) bool {
	if audience == own {
		return true
	}
	resource := resources.ResourceByIdentifier(audience)
	return resource != nil && resource.introspects(c)
}
