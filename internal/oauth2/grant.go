// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package oauth2

import (
	"net/url"
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
	resources := form.All(parameterResource)
	switch {
	case len(resources) == 0:
		return TokenRequest{Scopes: scopes}, nil
	case len(resources) > 1:
		return TokenRequest{}, Refuse(InvalidTarget, ReasonTargetNotGranted,
			"a token is for one resource; send one resource a request")
	case !validIndicator(resources[0]):
		return TokenRequest{}, Refuse(InvalidTarget, ReasonTargetNotGranted,
			"resource must be an absolute URI without a fragment (RFC 8707 section 2)")
	}
	return TokenRequest{Scopes: scopes, Resource: resources[0]}, nil
}

// validIndicator reports whether s has the shape of a resource indicator (RFC 8707 section 2).
func validIndicator(s string) bool {
	u, err := url.Parse(s)
	return err == nil && u.IsAbs() && u.Fragment == "" && s[len(s)-1] != '#'
}

// Grant is what a token will say.
type Grant struct {
	Audience string
	Scopes   []string
	Lifetime time.Duration
	// TokenUID is the UID of the OAuth2Token, if the client does not ask itself.
	TokenUID string
}

// Grant decides what the client gets: all that it asks for, or a refusal. A token names one
// audience: a scope claim for two would carry the consent of one to the other.
func (i Issuer) Grant(client *Client, request TokenRequest, resources Resources) (Grant, error) {
	grant, err := i.target(client, request.Resource, resources)
	if err != nil {
		return Grant{}, err
	}
	if len(request.Scopes) == 0 {
		return grant, nil
	}
	for _, scope := range request.Scopes {
		if !slices.Contains(grant.Scopes, scope) {
			return Grant{}, Refuse(InvalidScope, ReasonScopeNotGranted, "a scope asked for is not granted to the client")
		}
	}
	grant.Scopes = request.Scopes
	return grant, nil
}

// target returns all that the client may have at an audience, or at its default one.
func (i Issuer) target(client *Client, indicator string, resources Resources) (Grant, error) {
	own := i.NamespaceAudience(client.Namespace)
	if indicator == own || indicator == "" && client.DefaultResource == (ObjectName{}) {
		return Grant{Audience: own, Scopes: client.Scopes, Lifetime: client.TokenLifetime}, nil
	}
	for _, access := range client.Access {
		resource := resources.Resource(access.Resource)
		if resource == nil || indicator != "" && resource.Identifier != indicator ||
			indicator == "" && access.Resource != client.DefaultResource {
			continue
		}
		scopes := granted(client, resource, access.Scopes)
		if len(scopes) == 0 {
			break
		}
		return Grant{Audience: resource.Identifier, Scopes: scopes, Lifetime: resource.lifetime(client)}, nil
	}
	return Grant{}, Refuse(InvalidTarget, ReasonTargetNotGranted, "the client is granted nothing at that resource")
}

func (r *Resource) lifetime(client *Client) time.Duration {
	if r.TokenLifetime > 0 {
		return min(r.TokenLifetime, client.TokenLifetime)
	}
	return client.TokenLifetime
}

// Narrow returns the claims of a valid token with the scopes that the client is still granted, so
// that a withdrawn consent takes effect before the token expires. It returns the reason if none is
// left, or the audience is gone.
func (i Issuer) Narrow(claims *Claims, client *Client, resources Resources) (*Claims, Reason) {
	has := client.Scopes
	if claims.Audience != i.NamespaceAudience(client.Namespace) {
		resource := resources.ResourceByIdentifier(claims.Audience)
		if resource == nil {
			return nil, ReasonTargetNotGranted
		}
		has = nil
		for _, access := range client.Access {
			if access.Resource == (ObjectName{resource.Namespace, resource.Name}) {
				has = granted(client, resource, access.Scopes)
			}
		}
		if len(has) == 0 {
			return nil, ReasonTargetNotGranted
		}
	}
	return claims.restrict(has)
}

// restrict removes the scopes that are not allowed. Claims that lose their last scope are refused.
func (c *Claims) restrict(allowed []string) (*Claims, Reason) {
	refused := func(scope string) bool { return !slices.Contains(allowed, scope) }
	if !slices.ContainsFunc(c.Scopes, refused) {
		return c, ""
	}
	restricted := *c
	restricted.Scopes = slices.DeleteFunc(slices.Clone(c.Scopes), refused)
	if len(restricted.Scopes) == 0 {
		return nil, ReasonScopeNotGranted
	}
	return &restricted, ""
}
