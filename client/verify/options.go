// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package verify

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"
)

const (
	// defaultLeeway is how far the clocks of issuer and API may differ at the end of a token.
	defaultLeeway = 30 * time.Second
	// maxLeeway is as much as RFC 7519 section 4.1.4 calls a small leeway.
	maxLeeway = 5 * time.Minute
	// minClosed is the shortest time of FailClosed: two readings of the feed have to fit.
	minClosed = 4 * feedInterval
)

// Option changes a Verifier.
type Option func(*options) error

type options struct {
	client         *http.Client
	caFile         string
	keysURL        string
	metadataURL    string
	leeway         time.Duration
	users          bool
	exchanged      bool
	plainHTTP      bool
	feed           bool
	closedAfter    time.Duration // zero fails open
	contradictions int
}

// AllowUsers accepts tokens that act for a person. Claims.User returns who it is.
func AllowUsers() Option {
	return func(o *options) error { o.users = true; return nil }
}

// AllowExchanged accepts tokens of a token exchange (RFC 8693): the client passes on a call for the
// subject of the token. For a person, AllowUsers is needed too.
func AllowExchanged() Option {
	return func(o *options) error { o.exchanged = true; return nil }
}

// FailOpen accepts tokens by what is known of revocations, however late the feed is, and also
// before it was read for the first time. It is for Watch.
func FailOpen() Option {
	return func(o *options) error { o.feed = true; o.contradictions++; return nil }
}

// FailClosed refuses all tokens with ErrFeedLate if the feed was not read completely for that time,
// 20 seconds at least, and before it was read for the first time. It is for Watch.
func FailClosed(after time.Duration) Option {
	return func(o *options) error {
		if after < minClosed {
			return fmt.Errorf("FailClosed(%s): the feed is read every %s, so use %s or more", after, feedInterval, minClosed)
		}
		o.feed, o.closedAfter = true, after
		o.contradictions++
		return nil
	}
}

// WithHTTPClient fetches the keys with this client. It never follows redirects.
func WithHTTPClient(client *http.Client) Option {
	return func(o *options) error {
		if client == nil {
			return errors.New("the HTTP client is nil")
		}
		o.client = client
		return nil
	}
}

// WithCAFile trusts the certificate authorities of a PEM file, such as ca.crt of a Secret that
// Hallpass writes. The file is read again each time that keys are fetched.
func WithCAFile(file string) Option {
	return func(o *options) error { o.caFile = file; return nil }
}

// WithKeysURL fetches the keys from another address than <issuer>/oauth2/jwks, such as one inside
// the cluster.
func WithKeysURL(address string) Option {
	return func(o *options) error {
		parsed, err := url.Parse(address)
		if err != nil || parsed.Host == "" {
			return fmt.Errorf("%q is not the URL of a JWK set", address)
		}
		o.keysURL = address
		return nil
	}
}

// WithResourceMetadata is the address of the API's metadata (RFC 9728) for the challenges of
// Require. Without it, it is the one that Hallpass publishes if the audience is a declared resource
// below the issuer, and else there is none.
func WithResourceMetadata(address string) Option {
	return func(o *options) error {
		if !quotable(address) {
			return fmt.Errorf("%q is not a URL", address)
		}
		o.metadataURL = address
		return nil
	}
}

// WithLeeway is how long a token is accepted after its exp, because clocks differ: 30 seconds if
// left out, five minutes at most.
func WithLeeway(leeway time.Duration) Option {
	return func(o *options) error {
		if leeway < 0 || leeway > maxLeeway {
			return fmt.Errorf("a leeway of %s: use 0s to %s", leeway, maxLeeway)
		}
		o.leeway = leeway
		return nil
	}
}

// WithPlainHTTP accepts an issuer or a keys URL of http, for an installation behind a mesh that
// encrypts. Without it only https is accepted.
func WithPlainHTTP() Option {
	return func(o *options) error { o.plainHTTP = true; return nil }
}
