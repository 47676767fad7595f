// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/hallpass-dev/hallpass/internal/login/cluster"
	"github.com/hallpass-dev/hallpass/internal/loginport"
)

const (
	// portTimeout bounds one call of the token server.
	portTimeout = 10 * time.Second
	// bundleName is the ConfigMap in which the manager publishes the authorities.
	bundleName = "hallpass-ca"
)

// client calls the token server's port for login.
func (s TokenServer) client(objects *cluster.Objects) loginport.Client {
	return loginport.Client{
		BaseURL: s.URL,
		HTTP: &http.Client{
			Timeout:       portTimeout,
			Transport:     &trusting{authorities: func(ctx context.Context) (string, error) { return s.authorities(ctx, objects) }},
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
		Token: func() (string, error) {
			token, err := os.ReadFile(s.TokenFile)
			return strings.TrimSpace(string(token)), err
		},
	}
}

// authorities are those of the port's certificate in PEM; none stands for those that every machine
// trusts.
func (s TokenServer) authorities(ctx context.Context, objects *cluster.Objects) (string, error) {
	switch s.CA {
	case "":
		return objects.Bundle(ctx, s.SystemNamespace, bundleName)
	case PublicCA:
		return "", nil
	}
	bundle, err := os.ReadFile(s.CA)
	if err != nil {
		return "", fmt.Errorf("read --token-server-ca: %w", err)
	}
	return string(bundle), nil
}

// trusting is a transport that follows a change of the authorities.
type trusting struct {
	authorities func(context.Context) (string, error)

	mu     sync.Mutex
	bundle string
	next   *http.Transport
}

// RoundTrip implements http.RoundTripper.
func (t *trusting) RoundTrip(r *http.Request) (*http.Response, error) {
	bundle, err := t.authorities(r.Context())
	if err != nil {
		return nil, err
	}
	next, err := t.with(bundle)
	if err != nil {
		return nil, err
	}
	return next.RoundTrip(r) //nolint:wrapcheck // a transport returns the error as it is
}

// with is the transport that trusts a bundle. A new one ends the idle connections of the last.
func (t *trusting) with(bundle string) (*http.Transport, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.next != nil && t.bundle == bundle {
		return t.next, nil
	}
	var roots *x509.CertPool
	if bundle != "" {
		if roots = x509.NewCertPool(); !roots.AppendCertsFromPEM([]byte(bundle)) {
			return nil, errors.New("the authorities of the token server have no certificate in PEM")
		}
	}
	if t.next != nil {
		defer t.next.CloseIdleConnections()
	}
	t.bundle = bundle
	t.next = &http.Transport{
		TLSClientConfig:     &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12},
		ForceAttemptHTTP2:   true,
		MaxIdleConnsPerHost: 4,
		IdleConnTimeout:     time.Minute,
		TLSHandshakeTimeout: 5 * time.Second,
	}
	return t.next, nil
}
