// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package tokenserver

import (
	"crypto/x509"
	"net/http"
	"time"

	"github.com/hallpass-dev/hallpass/internal/oauth2"
)

// reasonNoCertificate is the reason of a refusal to a caller of introspection without the certificate that it needs.
const reasonNoCertificate oauth2.Reason = "ClientCertificateRequired"

// certified asks a caller of introspection for a certificate of the authorities that its callers are
// certified by, if there are any. It is asked at each request: on a connection that is kept, a certificate
// may have ended, or its authority may have been removed. Who the caller is its credentials say; the
// certificate only lets it ask (RFC 7662 section 4).
type certified struct {
	authorities func() *x509.CertPool
	now         func() time.Time
}

func (c certified) check(r *http.Request) error {
	if c.authorities == nil {
		return nil
	}
	refusal := oauth2.Refuse(oauth2.InvalidClient, reasonNoCertificate, "a client certificate is required here")
	if r.TLS == nil || len(r.TLS.PeerCertificates) == 0 {
		return refusal
	}
	intermediates := x509.NewCertPool()
	for _, certificate := range r.TLS.PeerCertificates[1:] {
		intermediates.AddCert(certificate)
	}
	_, err := r.TLS.PeerCertificates[0].Verify(x509.VerifyOptions{
		Roots: c.authorities(), Intermediates: intermediates, CurrentTime: c.now(),
		KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	})
	if err != nil {
		return refusal
	}
	return nil
}
