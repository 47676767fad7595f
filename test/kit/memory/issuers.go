// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package memory

import (
	"context"

	"github.com/hallpass-dev/hallpass/internal/oauth2"
)

// Trust has the server trust an issuer.
func (s *Server) Trust(issuer oauth2.TrustedIssuer) {
	s.directory.mu.Lock()
	defer s.directory.mu.Unlock()
	if s.directory.issuers == nil {
		s.directory.issuers = map[string]*oauth2.TrustedIssuer{}
	}
	s.directory.issuers[issuer.Name] = &issuer
}

func (d *directory) TrustedIssuer(name string) *oauth2.TrustedIssuer {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.issuers[name]
}

func (d *directory) TrustedIssuerOf(iss string) *oauth2.TrustedIssuer {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, issuer := range d.issuers {
		if issuer.Issuer == iss {
			return issuer
		}
	}
	return nil
}

func (d *directory) LookUpIssuer(_ context.Context, name string) (*oauth2.TrustedIssuer, error) {
	return d.TrustedIssuer(name), nil
}

func (d *directory) LookUpIssuerOf(_ context.Context, iss string) (*oauth2.TrustedIssuer, error) {
	return d.TrustedIssuerOf(iss), nil
}
