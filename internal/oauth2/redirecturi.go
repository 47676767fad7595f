// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package oauth2

import (
	"slices"
	"strings"
	"time"
)

// MaxRedirectURIs is how many redirect URIs a client has.
const MaxRedirectURIs = 16

// The lifetimes of refresh tokens that a client may ask for, and how often one is refreshed.
const (
	MinRefreshLifetime     = 5 * time.Minute
	MaxRefreshLifetime     = 2160 * time.Hour
	DefaultRefreshLifetime = 8 * time.Hour
	MaxRefreshes           = 10_000
)

// AllowRedirectURI reports whether a client may have a redirect URI. Each policy with a list has to
// allow it, and one at least.
func (c Ceilings) AllowRedirectURI(uri string) bool {
	if !ValidRedirectURI(uri) || strings.Contains(hostIn(uri), "?") || len(c.RedirectURIs) == 0 {
		return false
	}
	return !slices.ContainsFunc(c.RedirectURIs, func(patterns []string) bool {
		return !slices.ContainsFunc(patterns, func(pattern string) bool { return matchRedirectURI(pattern, uri) })
	})
}

// matchRedirectURI matches a pattern that has the scheme in full. A redirect URI at a loopback
// address allows every port if it has none (RFC 8252 section 7.3), so a pattern without a port
// matches each.
func matchRedirectURI(pattern, uri string) bool {
	scheme, _, _ := strings.Cut(uri, ":")
	if of, _, found := strings.Cut(pattern, ":"); !found || of != scheme {
		return false
	}
	if matchPattern(pattern, uri) {
		return true
	}
	host := hostIn(uri)
	port := strings.LastIndexByte(host, ':')
	if scheme != "http" || port < 0 || strings.HasSuffix(host, "]") {
		return false
	}
	return matchPattern(pattern, strings.Replace(uri, host, host[:port], 1))
}

// hostIn is what stands between the scheme and the path of a URI: a host with its port. A query
// there would let the end of a pattern for hosts match what is none.
func hostIn(uri string) string {
	_, authority, _ := strings.Cut(uri, "://")
	host, _, _ := strings.Cut(authority, "/")
	return host
}
