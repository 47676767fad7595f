// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package token

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// DefaultOverlap is how long a replaced secret stays valid if spec.rotation.overlap of the
// OAuth2Client is not set.
const DefaultOverlap = 24 * time.Hour

// Option changes a Source.
type Option func(*options) error

type options struct {
	resource  string
	scopes    []string
	client    *http.Client
	configDir string
	issuer    string
	caFile    string
	overlap   time.Duration
	plainHTTP bool
}

// WithResource asks for tokens for the API with this identifier (RFC 8707), which is
// status.identifier of its OAuth2Resource. Without it the tokens are for spec.defaultResource of
// the OAuth2Client, or else for its namespace.
func WithResource(uri string) Option {
	return func(o *options) error {
		if parsed, err := url.Parse(uri); err != nil || !parsed.IsAbs() || parsed.Fragment != "" {
			return fmt.Errorf("the resource %q is not an absolute URI without a fragment", uri)
		}
		o.resource = uri
		return nil
	}
}

// WithScopes asks for these scopes. Without it a token has all scopes that are granted.
func WithScopes(scopes ...string) Option {
	return func(o *options) error {
		for _, scope := range scopes {
			if scope == "" || strings.ContainsAny(scope, " \"\\") {
				return fmt.Errorf("%q is not a scope: RFC 6749 section 3.3", scope)
			}
		}
		o.scopes = slices.Clone(scopes)
		return nil
	}
}

// WithHTTPClient sends the requests for tokens with this client. Then ca.crt is not read. The
// source never follows redirects.
func WithHTTPClient(client *http.Client) Option {
	return func(o *options) error {
		if client == nil {
			return errors.New("the HTTP client is nil")
		}
		o.client = client
		return nil
	}
}

// WithConfig names the directory in which the Secret or the ConfigMap of the OAuth2Client is
// mounted: it has client_id, token_url, issuer_url and ca.crt. It is for Federated, PrivateKey and
// PrivateKeyFile; Secret and ServiceAccount have a directory already.
func WithConfig(dir string) Option {
	return func(o *options) error {
		o.configDir = dir
		return nil
	}
}

// WithIssuer sets the URL of Hallpass for programs that mount no directory, such as those outside
// the cluster. It takes precedence over the directory.
func WithIssuer(issuer string) Option {
	return func(o *options) error {
		parsed, err := url.Parse(issuer)
		if err != nil || parsed.Host == "" || issuer != parsed.Scheme+"://"+parsed.Host {
			return fmt.Errorf("the issuer %q is not an origin such as https://hallpass.example.com", issuer)
		}
		o.issuer = issuer
		return nil
	}
}

// WithCAFile trusts the certificate authorities of a PEM file, which is read again for each
// request. It takes precedence over ca.crt of the directory.
func WithCAFile(file string) Option {
	return func(o *options) error {
		o.caFile = file
		return nil
	}
}

// WithOverlap is spec.rotation.overlap of the OAuth2Client, DefaultOverlap if left out. Zero never
// falls back to the credential before.
func WithOverlap(overlap time.Duration) Option {
	return func(o *options) error {
		if overlap < 0 {
			return fmt.Errorf("the overlap %s is negative", overlap)
		}
		o.overlap = overlap
		return nil
	}
}

// WithPlainHTTP accepts a token endpoint of http, for an installation behind a mesh that encrypts.
// Without it only https is accepted.
func WithPlainHTTP() Option {
	return func(o *options) error {
		o.plainHTTP = true
		return nil
	}
}
