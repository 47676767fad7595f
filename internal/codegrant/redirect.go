// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package codegrant

import (
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/hallpass-dev/hallpass/internal/oauth2"
)

// Redirect returns the redirect URI of the request if it is one of the client's. If it returns an
// error, the person is shown a page and sent nowhere (RFC 9700 section 4.11). A client with one
// redirect URI may leave it out.
func (r Request) Redirect(client *oauth2.Client) (string, error) {
	if client.Codes == nil || !client.GrantTypes.Has(oauth2.AuthorizationCode) {
		return "", oauth2.Refuse(oauth2.UnauthorizedClient, oauth2.ReasonGrantTypeNotAllowed,
			"this client has no authorization codes; add AuthorizationCode to spec.grantTypes of its OAuth2Client")
	}
	uri, registered := r.RedirectURI, client.Codes.RedirectURIs
	switch {
	case uri == "" && len(registered) == 1 && oauth2.ValidRedirectURI(registered[0]):
		return registered[0], nil
	case uri == "":
		return "", refuseRedirect("redirect_uri is missing; send one of spec.redirectURIs of the OAuth2Client")
	case !oauth2.ValidRedirectURI(uri), !slices.ContainsFunc(registered, func(r string) bool { return allowsRedirect(r, uri) }):
		return "", refuseRedirect("redirect_uri is none of this client; it must be one of spec.redirectURIs of the OAuth2Client, character by character")
	}
	return uri, nil
}

func refuseRedirect(description string) error {
	return oauth2.Refuse(oauth2.InvalidRequest, oauth2.ReasonRedirectNotAllowed, description)
}

// allowsRedirect compares a redirect URI with a registered one as text: RFC 9700 section 4.1.3. If
// the registered one has a loopback name and no port, each port is accepted, because a program of
// the person listens at one that is free (RFC 8252 section 7.3).
func allowsRedirect(registered, uri string) bool {
	if registered == uri {
		return oauth2.ValidRedirectURI(registered)
	}
	for _, loopback := range []string{"http://127.0.0.1", "http://[::1]", "http://localhost"} {
		path, isLoopback := strings.CutPrefix(registered, loopback)
		rest, same := strings.CutPrefix(uri, loopback+":")
		if !isLoopback || !same || path != "" && path[0] != '/' && path[0] != '?' {
			continue
		}
		port, whole := strings.CutSuffix(rest, path)
		return whole && isPort(port)
	}
	return false
}

// isPort reports whether s is the number of a port as it is usually written.
func isPort(s string) bool {
	number, err := strconv.ParseUint(s, 10, 16)
	return err == nil && number > 0 && strconv.FormatUint(number, 10) == s
}

// RedirectHost is where a person is sent by a redirect URI, as the consent page names it: the host
// with its port, or the scheme of a native application.
func RedirectHost(uri string) string {
	u, err := url.Parse(uri)
	if err != nil {
		return ""
	}
	if u.Scheme == "https" || u.Scheme == "http" {
		return u.Host
	}
	return u.Scheme
}

// RedirectOrigin is the source expression of a Content-Security-Policy that allows the redirect. An
// address of IP version 6 has none: there its scheme takes the place.
func RedirectOrigin(uri string) string {
	u, err := url.Parse(uri)
	switch {
	case err != nil:
		return ""
	case u.Scheme != "https" && u.Scheme != "http", strings.HasPrefix(u.Host, "["):
		return u.Scheme + ":"
	}
	return u.Scheme + "://" + u.Host
}

// RedirectWith adds parameters, names and values in turn, to the query of a redirect URI. What the
// URI has stays as it is. Parameters with an empty value are left out.
func RedirectWith(uri string, parameters ...string) string {
	var b strings.Builder
	b.WriteString(uri)
	separator := "?"
	if _, query, has := strings.Cut(uri, "?"); has {
		separator = "&"
		if query == "" || strings.HasSuffix(query, "&") {
			separator = ""
		}
	}
	for i := 0; i+1 < len(parameters); i += 2 {
		if parameters[i+1] == "" {
			continue
		}
		b.WriteString(separator + parameters[i] + "=" + url.QueryEscape(parameters[i+1]))
		separator = "&"
	}
	return b.String()
}

// CodeRedirect is the answer with a code (RFC 6749 section 4.1.2, RFC 9207).
func CodeRedirect(uri, code, state, issuer string) string {
	return RedirectWith(uri, "code", code, "state", state, "iss", issuer)
}

// ErrorRedirect is the answer with a refusal (RFC 6749 section 4.1.2.1, RFC 9207).
func ErrorRedirect(uri string, refusal *oauth2.Error, state, issuer string) string {
	return RedirectWith(uri, "error", string(refusal.Code), "error_description", describe(refusal.Description), "state", state, "iss", issuer)
}

// describe replaces the characters that error_description excludes.
func describe(description string) string {
	return strings.Map(func(c rune) rune {
		if c < 0x20 || c > 0x7e || c == '"' || c == '\\' {
			return '\''
		}
		return c
	}, description)
}
