// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package oauth2

import (
	"slices"
	"time"
)

// GrantClientCredentials is the grant type of RFC 6749 section 4.4.
const GrantClientCredentials = "client_credentials"

// TokenRequest is a request to the token endpoint beside the client's authentication.
type TokenRequest struct {
	// Scopes are the scopes asked for; none means all that are granted.
	Scopes []string
	// Resource is the resource indicator asked for (RFC 8707); "" means the default.
	Resource string
}

// ParseTokenRequest reads the parameters of a client_credentials request.
func ParseTokenRequest(form Form) (TokenRequest, error) {
	switch form.Get("grant_type") {
	case GrantClientCredentials:
	case "":
		return TokenRequest{}, Refuse(InvalidRequest, ReasonMalformedRequest,
			"grant_type is missing; send grant_type=client_credentials")
	default:
		return TokenRequest{}, Refuse(UnsupportedGrantType, ReasonUnsupportedGrant, "the grant type is client_credentials")
	}
	scopes, err := ParseScope(form.Get("scope"))
	if err != nil {
		return TokenRequest{}, err
	}
	switch resources := form.All(parameterResource); len(resources) {
	case 0:
		return TokenRequest{Scopes: scopes}, nil
	case 1:
		return TokenRequest{Scopes: scopes, Resource: resources[0]}, nil
	}
	return TokenRequest{}, Refuse(InvalidTarget, ReasonTargetNotGranted,
		"a token is for one resource; send one resource a request")
}

// Grant is what a token will say: the decision before the signature.
type Grant struct {
	Audience string
	Scopes   []string
	Lifetime time.Duration
}

// Grant decides what the client gets for its request: never more than it is registered for, and never less than it asks
// for without saying so.
func (i Issuer) Grant(client *Client, request TokenRequest) (Grant, error) {
	audience := i.NamespaceAudience(client.Namespace)
	if request.Resource != "" && request.Resource != audience {
		return Grant{}, Refuse(InvalidTarget, ReasonTargetNotGranted, "the client is not granted that resource")
	}
	scopes := client.Scopes
	if len(request.Scopes) > 0 {
		for _, scope := range request.Scopes {
			if !slices.Contains(client.Scopes, scope) {
				return Grant{}, Refuse(InvalidScope, ReasonScopeNotGranted, "a scope asked for is not granted to the client")
			}
		}
		scopes = request.Scopes
	}
	return Grant{Audience: audience, Scopes: scopes, Lifetime: client.TokenLifetime}, nil
}
