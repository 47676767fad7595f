// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package token

import (
	"context"
	"io"
	"net/http"
	"strings"

	"golang.org/x/oauth2"
)

// Transport adds a token to each request that it sends with base; nil stands for
// http.DefaultTransport. If the answer is 401 with the error invalid_token (RFC 6750 section 3.1),
// it drops the token and sends the request once more with another one, if the request has no body
// or has GetBody. A redirect to another origin is followed without a token.
func (s *Source) Transport(base http.RoundTripper) http.RoundTripper {
	if base == nil {
		base = http.DefaultTransport
	}
	return &transport{source: s, base: base}
}

type transport struct {
	source *Source
	base   http.RoundTripper
}

// RoundTrip implements http.RoundTripper.
func (t *transport) RoundTrip(r *http.Request) (*http.Response, error) {
	if !sameOrigin(r) {
		return t.base.RoundTrip(r) //nolint:wrapcheck // the error of the base is what callers compare
	}
	token, err := t.source.Token(r.Context())
	if err != nil {
		if r.Body != nil {
			_ = r.Body.Close() // a RoundTripper closes it, also on errors
		}
		return nil, err
	}
	response, err := t.send(r, r.Body, token)
	if err != nil || response.StatusCode != http.StatusUnauthorized || !invalidToken(response.Header) {
		return response, err
	}
	t.source.Invalidate(token)
	body := r.Body
	if body != nil && body != http.NoBody {
		if r.GetBody == nil {
			return response, nil
		}
		if body, err = r.GetBody(); err != nil {
			return response, nil //nolint:nilerr // the answer is what there is to return
		}
	}
	another, err := t.source.Token(r.Context())
	if err != nil || another.Reveal() == token.Reveal() {
		if body != nil {
			_ = body.Close()
		}
		return response, nil
	}
	_, _ = io.CopyN(io.Discard, response.Body, maxText) // so that the connection is used again
	_ = response.Body.Close()
	return t.send(r, body, another)
}

func (t *transport) send(r *http.Request, body io.ReadCloser, token Token) (*http.Response, error) {
	sent := r.Clone(r.Context())
	sent.Body = body
	sent.Header.Set("Authorization", "Bearer "+token.Reveal())
	response, err := t.base.RoundTrip(sent)
	if response != nil && response.Request == sent {
		response.Request = r // without the token
	}
	return response, err //nolint:wrapcheck // the error of the base is what callers compare
}

// sameOrigin reports whether a request goes to the origin to which the caller sent the first one of
// a chain of redirects.
func sameOrigin(r *http.Request) bool {
	first := r
	for first.Response != nil && first.Response.Request != nil {
		first = first.Response.Request
	}
	return first == r || strings.EqualFold(first.URL.Scheme, r.URL.Scheme) && strings.EqualFold(first.URL.Host, r.URL.Host)
}

// invalidToken reports whether a challenge of the scheme Bearer has the error invalid_token.
func invalidToken(header http.Header) bool {
	for _, value := range header.Values("WWW-Authenticate") {
		bearer := false
		for _, part := range splitUnquoted(value) {
			part = strings.TrimSpace(part)
			name, parameter, found := strings.Cut(part, " ")
			// a scheme, with its first parameter
			if found && !strings.Contains(name, "=") {
				bearer = strings.EqualFold(name, "Bearer")
				part = strings.TrimSpace(parameter)
			}
			name, content, _ := strings.Cut(part, "=")
			if bearer && strings.EqualFold(strings.TrimSpace(name), "error") && strings.Trim(strings.TrimSpace(content), `"`) == "invalid_token" {
				return true
			}
		}
	}
	return false
}

// splitUnquoted splits at commas outside of quoted strings.
func splitUnquoted(value string) []string {
	var parts []string
	begin, quoted := 0, false
	for i := 0; i < len(value); i++ {
		switch {
		case quoted && value[i] == '\\':
			i++
		case value[i] == '"':
			quoted = !quoted
		case value[i] == ',' && !quoted:
			parts = append(parts, value[begin:i])
			begin = i + 1
		}
	}
	return append(parts, value[begin:])
}

// OAuth2 is the source for libraries that take an oauth2.TokenSource. Each of its tokens is fetched
// with the context.
func (s *Source) OAuth2(ctx context.Context) oauth2.TokenSource { return oauth2Source{ctx, s} }

type oauth2Source struct {
	ctx    context.Context //nolint:containedctx // oauth2.TokenSource takes none
	source *Source
}

// Token implements oauth2.TokenSource.
func (o oauth2Source) Token() (*oauth2.Token, error) {
	token, err := o.source.Token(o.ctx)
	if err != nil {
		return nil, err
	}
	return &oauth2.Token{AccessToken: token.Reveal(), TokenType: "Bearer", Expiry: token.Expiry}, nil
}

// GetRequestMetadata implements credentials.PerRPCCredentials of gRPC.
func (s *Source) GetRequestMetadata(ctx context.Context, _ ...string) (map[string]string, error) {
	token, err := s.Token(ctx)
	if err != nil {
		return nil, err
	}
	return map[string]string{"authorization": "Bearer " + token.Reveal()}, nil
}

// RequireTransportSecurity implements credentials.PerRPCCredentials of gRPC: a token is sent over
// TLS only.
func (*Source) RequireTransportSecurity() bool { return true }
