// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package auth

import (
	"context"

	"github.com/hallpass-dev/hallpass/internal/oauth2"
)

// foreign returns the assertion of a request if it is to be verified as the JWT of a trusted
// issuer: the registration of the client that the request names decides, unless the JWT can be
// nothing else.
func (v *view) foreign(presented oauth2.Presented) *oauth2.ForeignToken {
	token := presented.Foreign()
	if token == nil || presented.ForeignToken != nil {
		return token
	}
	if v.caller(token.ClientID).Client.Federated() == nil {
		return nil
	}
	return token
}

// federation is what the JWTs of trusted issuers are verified by. It is inlined, so that a request
// allocates none of its functions.
func (v *view) federation(cluster string) oauth2.Federation {
	return oauth2.Federation{
		Issuer: v.source.Issuer.String(), Cluster: cluster, Record: v.caller, Trusted: v.issuer, TrustedOf: v.issuerOf, ClientsOf: workloads{v}.clients,
	}
}

// issuer is the trusted issuer of a client that authenticates.
func (v *view) issuer(name string) *oauth2.TrustedIssuer {
	if issuer, asked := v.issuers[name]; asked {
		return issuer
	}
	return v.TrustedIssuer(name)
}

// issuerOf is the trusted issuer that has an iss; nil if there is none.
func (v *view) issuerOf(iss string) *oauth2.TrustedIssuer {
	for _, issuer := range v.issuers {
		if issuer != nil && issuer.Issuer == iss {
			return issuer
		}
	}
	if issuer := v.TrustedIssuerOf(iss); issuer != nil {
		return v.issuer(issuer.Name)
	}
	return nil
}

// isFederated reports whether a client authenticates by JWTs of a trusted issuer, as memory knows
// it: then the keys of the cluster do not matter.
func (s *source) isFederated(clientID string) bool {
	return s.Directory.Record(clientID).Client.Federated() != nil
}

// issuersOf looks up the trusted issuer of the client that was presented. For a JWT that can be
// nothing else a request is sent whether or not there is such a client, so that the time of the
// answer does not reveal it.
func (s *source) issuersOf(
	ctx context.Context, payer Payer, presented oauth2.Presented, callers map[string]oauth2.Record,
) (map[string]*oauth2.TrustedIssuer, error) {
	token := presented.Foreign()
	if token == nil || token.ClientID == "" {
		return nil, nil //nolint:nilnil // there is none to ask for
	}
	name := ""
	if federated := callers[token.ClientID].Client.Federated(); federated != nil {
		name = federated.IssuerName
	}
	if name == "" && presented.ForeignToken == nil {
		return nil, nil //nolint:nilnil // there is none to ask for
	}
	if err := s.spend(payer, "", clients); err != nil {
		return nil, err
	}
	return s.issuerNamed(ctx, name)
}

// issuerNamed looks up the trusted issuer of a name.
func (s *source) issuerNamed(ctx context.Context, name string) (map[string]*oauth2.TrustedIssuer, error) {
	issuer, err := s.issuers.current(ctx, name, lookupTimeout, func(ctx context.Context) (*oauth2.TrustedIssuer, error) {
		return s.Directory.LookUpIssuer(ctx, name)
	})
	if err != nil {
		return nil, err
	}
	return map[string]*oauth2.TrustedIssuer{name: issuer}, nil
}

// issuerOf looks up the trusted issuer that has an iss.
func (s *source) issuerOf(ctx context.Context, iss string) (map[string]*oauth2.TrustedIssuer, error) {
	// no name has a colon
	issuer, err := s.issuers.current(ctx, "iss:"+iss, lookupTimeout, func(ctx context.Context) (*oauth2.TrustedIssuer, error) {
		return s.Directory.LookUpIssuerOf(ctx, iss)
	})
	if issuer == nil || err != nil {
		return nil, err
	}
	return map[string]*oauth2.TrustedIssuer{issuer.Name: issuer}, nil
}

// trustDomain looks up the trusted issuer of a trust domain. It is not paid for yet.
func (s *source) trustDomain(ctx context.Context, payer Payer, domain string) (map[string]*oauth2.TrustedIssuer, error) {
	if err := s.spend(payer, "", grants); err != nil {
		return nil, err
	}
	return s.issuerOf(ctx, domain)
}
