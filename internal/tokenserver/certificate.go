// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package tokenserver

import (
	"context"
	"crypto/x509"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/hallpass-dev/hallpass/internal/oauth2"
)

// reasonNoCertificate is the reason of a refusal to a caller of introspection without the
// certificate that it needs.
const reasonNoCertificate oauth2.Reason = "ClientCertificateRequired"

// maxChain is how many certificates a caller may send: its own and three intermediate ones. A chain
// is verified before the caller is authenticated, and a certificate of P-521 takes 3 ms.
const maxChain = 4

var (
	errNoCertificate = oauth2.Refuse(oauth2.InvalidClient, reasonNoCertificate, "a client certificate is required here, of the authority that introspection trusts")
	errLongChain     = oauth2.Refuse(oauth2.InvalidClient, reasonNoCertificate,
		fmt.Sprintf("the client certificate comes with too many others; send a chain of at most %d certificates, without its root", maxChain))
)

// certificateKey is the key of a context whose value is the *certificate of its connection.
type certificateKey struct{}

// WithConnection returns a context for the requests of one connection. With it the client
// certificate of the connection is verified once, and without it at each request.
func WithConnection(ctx context.Context) context.Context {
	return context.WithValue(ctx, certificateKey{}, &certificate{})
}

// certificate is the last verdict on the client certificate of a connection.
type certificate struct {
	mu sync.Mutex
	// authorities are those of the verdict; nil if there is none.
	authorities *x509.CertPool
	// until is the instant from which on the verdict may be another one. It is zero if there is
	// none.
	until time.Time
	err   error
}

// verify returns the verdict by the authorities at an instant. check limits the verifications; the
// requests of the connection wait for the one that is under way.
func (c *certificate) verify(
	chain []*x509.Certificate, authorities *x509.CertPool, at time.Time, check func(verify func() error) error,
) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.authorities == authorities && (c.until.IsZero() || at.Before(c.until)) {
		return c.err
	}
	c.authorities = authorities
	c.err = check(func() (err error) {
		c.until, err = verifyChain(chain, authorities, at)
		return err
	})
	return c.err
}

// verifyChain verifies the first certificate of a chain. It returns the instant from which on the
// result may be another one: the one at which the chain ends, or begins. A root that is not valid
// yet is not known here: of it the result is new on the next connection.
func verifyChain(chain []*x509.Certificate, authorities *x509.CertPool, at time.Time) (until time.Time, err error) {
	intermediates := x509.NewCertPool()
	for _, c := range chain[1:] {
		intermediates.AddCert(c)
	}
	verified, err := chain[0].Verify(x509.VerifyOptions{
		Roots: authorities, Intermediates: intermediates, CurrentTime: at, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	})
	if err != nil {
		for _, c := range chain {
			if begin := c.NotBefore; begin.After(at) && (until.IsZero() || begin.Before(until)) {
				until = begin
			}
		}
		return until, err //nolint:wrapcheck // no caller sees it
	}
	for _, path := range verified {
		end := path[0].NotAfter
		for _, c := range path[1:] {
			if c.NotAfter.Before(end) {
				end = c.NotAfter
			}
		}
		if end = end.Add(time.Nanosecond); end.After(until) { // it is valid at NotAfter
			until = end
		}
	}
	return until, nil
}

// certified refuses a caller without a certificate of the certifiers. It is asked at each request:
// on a connection that is kept, a certificate may have ended, or its authority may have been
// removed. The credentials identify the caller; the certificate only lets it ask (RFC 7662 section
// 4).
func (e *introspectEndpoint) certified(r *http.Request, in request) error {
	if e.certifiers == nil {
		return nil
	}
	if r.TLS == nil || len(r.TLS.PeerCertificates) == 0 {
		return errNoCertificate
	}
	chain := r.TLS.PeerCertificates
	if len(chain) > maxChain {
		return errLongChain
	}
	authorities := e.certifiers()
	// else the certificate would be verified by the authorities of the machine
	if authorities == nil {
		return errNoCertificate
	}
	of, ok := r.Context().Value(certificateKey{}).(*certificate)
	if !ok {
		of = &certificate{}
	}
	err := of.verify(chain, authorities, in.at, func(verify func() error) error {
		return e.authority.VerifyCertificates(in.source, in.at, len(chain), verify)
	})
	if err != nil {
		return errNoCertificate
	}
	return nil
}
