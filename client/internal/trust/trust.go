// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

// Package trust makes HTTP clients that trust the certificate authorities of a file as it changes.
// It depends on the standard library alone.
package trust

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net/http"
	"sync"
	"time"
)

// ErrNoCertificate is returned for a file without a certificate authority.
var ErrNoCertificate = errors.New("the CA file has no certificate in PEM")

// Clients makes a client for the authorities of the moment. The zero Clients is ready for use.
type Clients struct {
	// Fixed is used in any case if it is set.
	Fixed *http.Client

	mu     sync.Mutex
	ca     [sha256.Size]byte
	client *http.Client
}

// For returns a client that trusts these authorities in PEM; nil stands for those of the system. It
// keeps its connections until the authorities change. It follows no redirect.
func (c *Clients) For(ca []byte) (*http.Client, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	sum := sha256.Sum256(ca)
	if c.client != nil && (c.Fixed != nil || sum == c.ca) {
		return c.client, nil
	}
	if c.Fixed != nil {
		copied := *c.Fixed
		copied.CheckRedirect = neverRedirect
		c.client = &copied
		return c.client, nil
	}
	var roots *x509.CertPool
	if ca != nil {
		if roots = x509.NewCertPool(); !roots.AppendCertsFromPEM(ca) {
			return nil, ErrNoCertificate
		}
	}
	if c.client != nil {
		c.client.CloseIdleConnections()
	}
	c.ca, c.client = sum, &http.Client{
		Transport: &http.Transport{
			Proxy: http.ProxyFromEnvironment, ForceAttemptHTTP2: true,
			TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12},
			MaxIdleConns:    2, IdleConnTimeout: time.Minute,
		},
		CheckRedirect: neverRedirect,
	}
	return c.client, nil
}

// neverRedirect keeps a credential at the server that it is for, and keys from another origin out.
func neverRedirect(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
