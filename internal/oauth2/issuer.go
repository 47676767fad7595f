// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package oauth2

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
)

// The paths below the issuer: the manager writes them into Secrets, the token server serves them.
const (
	TokenPath          = "/oauth2/token"
	AuthorizationPath  = "/oauth2/authorize"
	IntrospectionPath  = "/oauth2/introspect"
	RevocationPath     = "/oauth2/revoke"
	RevocationFeedPath = "/oauth2/revocations"
	JWKSPath           = "/oauth2/jwks"
	ForwardAuthPath    = "/forward-auth"
	MetadataPath       = "/.well-known/oauth-authorization-server"
	DiscoveryPath      = "/.well-known/openid-configuration"
	// ResourceMetadataPath begins the paths of RFC 9728; what follows is a resource's path
	// below the issuer.
	ResourceMetadataPath = "/.well-known/oauth-protected-resource"
)

// Issuer is the issuer identifier (RFC 8414 section 2): an https origin without a path, never taken
// from a request. The zero Issuer is invalid.
type Issuer struct {
	origin string
	// internal is another origin of the token server; see ParseIssuers.
	internal string
}

// errInvalidIssuer is wrapped by every refusal of an issuer.
var errInvalidIssuer = errors.New("the issuer must be an https origin such as https://hallpass.example.com")

// ParseIssuer parses an issuer. insecure allows plain http.
func ParseIssuer(raw string, insecure bool) (Issuer, error) {
	u, err := url.Parse(raw)
	if err != nil {
		return Issuer{}, fmt.Errorf("%w: %q is not a URL", errInvalidIssuer, raw)
	}
	switch {
	case u.Scheme != "https" && (!insecure || u.Scheme != "http"):
		return Issuer{}, fmt.Errorf("%w: %q does not begin with https://", errInvalidIssuer, raw)
	case u.Host == "" || u.Hostname() == "" || u.User != nil:
		return Issuer{}, fmt.Errorf("%w: %q needs a host and no user", errInvalidIssuer, raw)
	case raw != u.Scheme+"://"+u.Host || strings.ToLower(raw) != raw:
		return Issuer{}, fmt.Errorf("%w: %q has a path, a query, a fragment or capital letters", errInvalidIssuer, raw)
	}
	return Issuer{origin: raw}, nil
}

// CheckLoginURL refuses an origin at which people cannot log in. It is not the issuer: cookies and
// pages stay apart from tokens. The empty one is that of an installation without login.
func CheckLoginURL(origin string, issuer Issuer) error {
	if origin == "" {
		return nil
	}
	switch login, err := ParseIssuer(origin, false); {
	case err != nil:
		return fmt.Errorf("%q is not an https origin such as https://login.example.com: without a path, and without a slash at the end", origin)
	case login.String() == issuer.String():
		return fmt.Errorf("%q is the issuer, too; give login an origin of its own", origin)
	}
	return nil
}

// ParseIssuers parses an issuer and another origin, by which callers inside the cluster reach the
// token server. That one identifies no caller: tokens have the issuer.
func ParseIssuers(raw, internal string, insecure bool) (Issuer, error) {
	issuer, err := ParseIssuer(raw, insecure)
	other, otherErr := ParseIssuer(internal, insecure)
	issuer.internal = other.origin
	return issuer, errors.Join(err, otherErr)
}

// String is the issuer identifier, the iss of every token.
func (i Issuer) String() string { return i.origin }

// URL is the address of one of the paths above.
func (i Issuer) URL(path string) string { return i.origin + path }

// InternalURL is the internal address of a path; empty if there is no such origin.
func (i Issuer) InternalURL(path string) string {
	if i.internal == "" {
		return ""
	}
	return i.internal + path
}

// NamespaceAudience is the audience for the free-form scopes of the clients of a namespace, who
// alone may introspect such tokens.
func (i Issuer) NamespaceAudience(namespace string) string { return i.origin + "/ns/" + namespace }

// ResourceIdentifier is the default identifier of a declared resource.
func (i Issuer) ResourceIdentifier(resource ObjectName) string {
	return i.origin + "/resources/" + resource.Namespace + "/" + resource.Name
}
