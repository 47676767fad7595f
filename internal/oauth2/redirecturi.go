// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package oauth2

import (
	"slices"
	"strings"
	"time"
)

// maxRedirectURI bounds a redirect URI, and MaxRedirectURIs how many a client has.
const (
	maxRedirectURI  = 512
	MaxRedirectURIs = 16
)

// The lifetimes of refresh tokens that a client may ask for, and how often one is refreshed.
const (
	MinRefreshLifetime     = 5 * time.Minute
	MaxRefreshLifetime     = 2160 * time.Hour
	DefaultRefreshLifetime = 8 * time.Hour
	MaxRefreshes           = 10_000
)

// otherSchemes are schemes of which no redirect URI is: http and https have rules of their own, and
// a browser runs, shows or opens by itself what the others name.
var otherSchemes = []string{ //nolint:gochecknoglobals // a constant list
	"http", "https", "javascript", "vbscript", "data", "blob", "file", "filesystem", "about", "view-source", "ftp", "ws", "wss",
}

// ValidRedirectURI reports whether a client may have a redirect URI, as the CRD does: https, http
// on a loopback address, or the scheme of a native application (RFC 8252), without a user, a
// fragment, and segments that a browser removes.
func ValidRedirectURI(uri string) bool {
	if uri == "" || len(uri) > maxRedirectURI || strings.Contains(uri, "..") || strings.Contains(strings.ToLower(uri), "%2e") {
		return false
	}
	for i := range len(uri) {
		if c := uri[i]; c <= ' ' || c >= 0x7f || strings.IndexByte("\"#*<>\\^`{|}", c) >= 0 {
			return false
		}
	}
	scheme, rest, _ := strings.Cut(uri, ":")
	authority, rooted := strings.CutPrefix(rest, "//")
	host, _, _ := strings.Cut(authority, "/")
	switch {
	case scheme == "https" && rooted:
		name, sound := cutPort(host)
		return sound && isHost(name)
	case scheme == "http" && rooted:
		name, sound := cutPort(host)
		return sound && isLoopback(name)
	case !isScheme(scheme) || slices.Contains(otherSchemes, scheme):
		return false
	case rooted:
		return consistsOf(host, isUnreserved)
	}
	return strings.HasPrefix(rest, "/")
}

// AllowRedirectURI reports whether a client may have a redirect URI. Each policy with a list has to
// allow it, and one at least.
func (c Ceilings) AllowRedirectURI(uri string) bool {
	if !ValidRedirectURI(uri) || len(c.RedirectURIs) == 0 {
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
	authority, isHTTP := strings.CutPrefix(uri, "http://")
	if !isHTTP {
		return false
	}
	host, path, hasPath := strings.Cut(authority, "/")
	name, _ := cutPort(host)
	if hasPath {
		path = "/" + path
	}
	return matchPattern(pattern, "http://"+name+path)
}

// cutPort returns a host without its port. sound is false if what follows the colon is no port.
func cutPort(host string) (name string, sound bool) {
	const longest = len("65535")
	at := strings.LastIndexByte(host, ':')
	if at < 0 || strings.HasSuffix(host, "]") {
		return host, true
	}
	port := host[at+1:]
	return host[:at], port != "" && len(port) <= longest && consistsOf(port, isDigit)
}

func isLoopback(host string) bool {
	return host == "localhost" || host == "127.0.0.1" || host == "[::1]"
}

// isHost reports whether s is a host name in lower case.
func isHost(s string) bool {
	inside := func(c byte) bool { return isLower(c) || isDigit(c) || c == '-' || c == '.' }
	ends := func(c byte) bool { return isLower(c) || isDigit(c) }
	return s != "" && ends(s[0]) && ends(s[len(s)-1]) && consistsOf(s, inside)
}

// isScheme reports whether s is the scheme of a URI, in lower case.
func isScheme(s string) bool {
	return s != "" && isLower(s[0]) && consistsOf(s, func(c byte) bool { return isLower(c) || isDigit(c) || c == '+' || c == '-' || c == '.' })
}

func isLower(c byte) bool { return c >= 'a' && c <= 'z' }

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

func isUnreserved(c byte) bool {
	return isLower(c) || c >= 'A' && c <= 'Z' || isDigit(c) || strings.IndexByte("-._~", c) >= 0
}

func consistsOf(s string, is func(byte) bool) bool {
	for i := range len(s) {
		if !is(s[i]) {
			return false
		}
	}
	return true
}
