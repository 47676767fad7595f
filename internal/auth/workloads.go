// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package auth

import (
	"context"

	"github.com/hallpass-dev/hallpass/internal/oauth2"
)

// workloads is a view of the clients that workloads authenticate, for requests that name no client.
type workloads struct{ *view }

// presented returns credentials as the view reads them, in a request that names no client: the
// token of a service account whose iss a trusted issuer has is a JWT of that issuer, and a JWT-SVID
// with an iss that no trusted issuer has is one of its trust domain.
func (v workloads) presented(presented oauth2.Presented) oauth2.Presented {
	if token := presented.ForeignAccount(); token != nil && v.issuerOf(token.Issuer) != nil {
		return oauth2.Presented{Method: oauth2.FederatedJWT, ForeignToken: token}
	}
	subject := presented.OnlySubject()
	if subject == nil || v.issuerOf(subject.Issuer) != nil {
		return presented
	}
	if token := subject.OfTrustDomain(); token != nil && v.issuerOf(token.Issuer) != nil {
		presented.ForeignToken = token
	}
	return presented
}

// ofOtherCluster returns the token of a service account, in a request that names no client, as the
// JWT of its issuer if that is not the issuer of this cluster; nil for anything else.
func (v workloads) ofOtherCluster(presented oauth2.Presented) *oauth2.ForeignToken {
	token, own := presented.ForeignAccount(), v.source.cluster().Issuer
	if token == nil || own == "" || token.Issuer == own {
		return nil
	}
	return token
}

// callers are the records of the clients that the token of a service account may be from.
func (v workloads) callers(token *oauth2.AccountToken) []oauth2.Record {
	if token.ClientID != "" {
		return []oauth2.Record{v.caller(token.ClientID)}
	}
	return v.clients(token.Account.Workload())
}

// clients are the records of the clients that a workload may be.
func (v workloads) clients(workload oauth2.Workload) []oauth2.Record {
	if !v.has(accountRefused) && !v.has(subjectRefused) {
		return v.ClientsOf(workload)
	}
	var found []oauth2.Record
	for _, record := range v.view.callers {
		if record.Names(workload) {
			found = append(found, record)
		}
	}
	return found
}

// of is the workload that a JWT claims to be from, in a request that names no client.
func (v workloads) of(token *oauth2.ForeignToken) oauth2.Workload {
	return v.federation("").WorkloadOf(token)
}

// needs is what could mend the refusal of a JWT in a request that names no client.
func (v workloads) needs(token *oauth2.ForeignToken, refusal error) need {
	switch reason := oauth2.ReasonOf(refusal); reason {
	case oauth2.ReasonIssuerNotFound:
		n := need{lack: foreignIssuerUnknown, what: token.Issuer}
		if domain := token.OfTrustDomain(); domain != nil && domain.Issuer != token.Issuer {
			n.others = []string{domain.Issuer}
		}
		return n
	case oauth2.ReasonAssertionKeyUnknown, oauth2.ReasonKeysStale, oauth2.ReasonIssuerSuspended, oauth2.ReasonNotAllowedByIssuer,
		oauth2.ReasonAssertionAudience, oauth2.ReasonAssertionTooLong:
		if issuer := v.issuerOf(token.Issuer); issuer != nil {
			return need{lack: foreignIssuerRefused, what: issuer.Name}
		}
	case oauth2.ReasonOwnIssuer, oauth2.ReasonWrongAssertion, oauth2.ReasonAssertionExpired:
	default:
		if workload := v.of(token); workload != (oauth2.Workload{}) {
			return need{lack: subjectRefused, what: token.Subject, workload: workload}
		}
	}
	return need{lack: callerRefused}
}

// callersOf looks up the clients that name a workload: first which, and then each.
func (s *source) callersOf(ctx context.Context, payer Payer, workload oauth2.Workload) (map[string]oauth2.Record, error) {
	key := workload.Namespace + "/" + workload.Account + "/" + workload.IssuerName + "/" + workload.Subject
	ids, err := s.workloads.current(ctx, key, lookupTimeout, func(ctx context.Context) ([]string, error) {
		return s.Directory.LookUpClientsOf(ctx, workload)
	})
	if err != nil {
		return nil, err
	}
	return s.each(ctx, payer, ids, 0)
}
