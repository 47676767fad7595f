// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

// Package tokenserver is the HTTP edge of the protocol: token endpoint (RFC 6749), introspection
// (RFC 7662), revocation (RFC 7009), keys (RFC 7517), metadata (RFC 8414, RFC 9728) and the answers
// to proxies that admit only good tokens (RFC 6750). An endpoint parses its request, asks package
// auth, and returns an answer. The authorization endpoint refuses every request. The package knows
// no Kubernetes.
package tokenserver

import (
	"crypto/x509"
	"net/http"
	"path"
	"slices"
	"strings"

	"github.com/hallpass-dev/hallpass/internal/audit"
	"github.com/hallpass-dev/hallpass/internal/auth"
	"github.com/hallpass-dev/hallpass/internal/budget"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
)

// Config is what the endpoints need.
type Config struct {
	// Authority decides. The endpoints use its issuer, directory, journal, clock and
	// randomness.
	Authority *auth.Authority
	Auditor   *audit.Auditor
	Aliases   Aliases
	// TokenByGet lets the token endpoint answer GET too, with credentials in the Authorization
	// header only.
	TokenByGet bool
	// PasswordGrant lets the token of a service account be sent as the password of the grant
	// type password.
	PasswordGrant bool
	// ClientRate is how many tokens a second one client may fetch; zero means
	// DefaultClientRate.
	ClientRate int
	// LoginURL is the origin at which persons log in; without one no code is issued or
	// redeemed.
	LoginURL string
	// IntrospectionAuthorities issue the certificate that a caller of introspection needs
	// beside its credentials; nil asks for none.
	IntrospectionAuthorities func() *x509.CertPool
}

// Aliases are further paths of endpoints. Serves reports which paths are taken.
type Aliases struct{ Token, Introspection, Revocation []string }

// All are the paths of all endpoints.
func (a Aliases) All() []string { return slices.Concat(a.Token, a.Introspection, a.Revocation) }

// New returns the handler of the public port.
func New(c Config) http.Handler {
	p := &port{authority: c.Authority, auditor: c.Auditor}
	mux, exact := http.NewServeMux(), map[string]methods{}
	for _, r := range routes(c) {
		exact[r.path] = p.mount(mux, r)
	}
	return p.withoutRedirects(mux, exact)
}

// withoutRedirects answers paths that have no route as not found, also those for which a mux would
// redirect: credentials follow no redirect. Most requests are found in exact by their path, as the
// mux would find them: that takes a hundredth of the time of a request less.
func (p *port) withoutRedirects(mux *http.ServeMux, exact map[string]methods) http.Handler {
	nowhere := p.handler(audit.None, nil, notFound)
	mux.Handle("/", nowhere)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if h := exact[r.URL.Path].of(r.Method); h != nil && r.URL.RawPath == "" {
			h.ServeHTTP(w, r)
			return
		}
		if r.URL.Path != path.Clean(r.URL.Path) || !strings.HasPrefix(r.URL.Path, "/") {
			nowhere.ServeHTTP(w, r)
			return
		}
		mux.ServeHTTP(w, r)
	})
}

// route is a path, the methods that it answers as an Allow header has them, the name of the
// endpoint in audit lines and metrics, and the endpoint.
type route struct {
	path, methods, name string
	endpoint            endpoint
}

// The methods of the routes. A POST has its parameters in a form.
const (
	post      = "POST"
	getOrPost = "GET, POST"
	getOrHead = "GET, HEAD"
	anyMethod = "" // that of the request which a proxy holds back
)

// routes are those of the public port.
func routes(c Config) []route {
	a := c.Authority
	rate, tokenMethods := c.ClientRate, post
	if rate == 0 {
		rate = DefaultClientRate
	}
	if c.TokenByGet {
		tokenMethods = getOrPost
	}
	people := c.LoginURL != ""
	token := &tokenEndpoint{a, issues(rate), budget.NewPlaces(maxRedeeming, lentRedeeming, redeemingShare), people, c.PasswordGrant}
	introspect := &introspectEndpoint{a, c.IntrospectionAuthorities}
	metadata := &metadataEndpoint{issuer: a.Issuer, keys: a.Directory, loginURL: c.LoginURL, password: c.PasswordGrant}
	revoke := &revokeEndpoint{a, revokes(rate), budget.NewPlaces(maxRevoking, lentRevoking, revokingShare), people}
	table := []route{
		{oauth2.TokenPath, tokenMethods, audit.Token, token},
		{oauth2.AuthorizationPath, getOrHead, audit.Authorize, authorizeEndpoint{people}},
		{oauth2.IntrospectionPath, post, audit.Introspect, introspect},
		{oauth2.RevocationPath, post, audit.Revoke, revoke},
		{oauth2.RevocationFeedPath, getOrPost, audit.Feed, &feedEndpoint{a, pages(feedLevel), budget.NewPlaces(maxFeeding, lentFeeding, 1)}},
		{oauth2.JWKSPath, getOrHead, audit.Keys, keysEndpoint{a.Directory}},
		{oauth2.MetadataPath, getOrHead, audit.Metadata, metadata},
		{oauth2.DiscoveryPath, getOrHead, audit.Metadata, metadata},
		{oauth2.ResourceMetadataPath + "/resources/{namespace}/{name}", getOrHead, audit.Metadata, resourceEndpoint{a.Issuer, a.Directory}},
		{oauth2.ForwardAuthPath, anyMethod, audit.ForwardAuth, forwardAuthEndpoint{a}},
	}
	for _, further := range []struct {
		paths []string
		of    route
	}{
		{c.Aliases.Token, route{methods: tokenMethods, name: audit.Token, endpoint: token}},
		{c.Aliases.Introspection, route{methods: post, name: audit.Introspect, endpoint: introspect}},
		{c.Aliases.Revocation, route{methods: post, name: audit.Revoke, endpoint: revoke}},
	} {
		for _, further.of.path = range further.paths {
			table = append(table, further.of)
		}
	}
	return table
}

// Serves reports whether a path is that of an endpoint, so that it cannot be an alias.
func Serves(path string) bool {
	return slices.Contains([]string{
		oauth2.TokenPath, oauth2.IntrospectionPath, oauth2.RevocationPath, oauth2.RevocationFeedPath, oauth2.JWKSPath, oauth2.MetadataPath, oauth2.DiscoveryPath,
		oauth2.ForwardAuthPath, oauth2.AuthorizationPath,
	}, path) || strings.HasPrefix(path, oauth2.ResourceMetadataPath)
}
