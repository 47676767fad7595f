// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package verdict_test

import (
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/cmd/kubectl-hallpass/verdict"
)

// federated is a client that is ready unless it has another condition, of an issuer named github.
func federated(conditions ...metav1.Condition) *v1alpha1.OAuth2Client {
	c := ready()
	c.Status.Grants = nil
	c.Spec.Authentication = v1alpha1.AuthenticationSpec{
		Method: v1alpha1.ByFederatedToken, FederatedToken: v1alpha1.FederatedTokenSpec{IssuerName: "github", Subject: "a"},
	}
	if len(conditions) > 0 {
		c.Status.Conditions = conditions
	}
	return c
}

func TestWithIssuer(t *testing.T) {
	is := func(conditions ...metav1.Condition) *v1alpha1.OAuth2TrustedIssuer {
		return &v1alpha1.OAuth2TrustedIssuer{ObjectMeta: metav1.ObjectMeta{Name: "github"}, Status: v1alpha1.OAuth2TrustedIssuerStatus{Conditions: conditions}}
	}
	const describe = "kubectl hallpass describe issuer github"
	for name, c := range map[string]struct {
		client             *v1alpha1.OAuth2Client
		issuer             *v1alpha1.OAuth2TrustedIssuer
		reason, says, does string
	}{
		"nothing is wrong":      {federated(), is(v1alpha1.IssuerTrusted()), "", "gets a token", ""},
		"kept keys":             {federated(), is(v1alpha1.IssuerTrusted(), v1alpha1.IssuerKeysKept(v1alpha1.ReasonKeysNotFetched, "x")), "", "gets a token", ""},
		"not handled":           {federated(), is(), "", "gets a token", ""},
		"suspended":             {federated(), is(v1alpha1.IssuerIsSuspended()), "IssuerSuspended", "is suspended", describe},
		"stale keys":            {federated(), is(v1alpha1.IssuerKeysStale(time.Hour, "x")), "KeysStale", "for longer than keys.maxAge", describe},
		"this cluster":          {federated(), is(v1alpha1.OwnIssuer()), "OwnIssuer", "this cluster", describe},
		"deleted":               {federated(), nil, "IssuerNotFound", "There is no OAuth2TrustedIssuer", ""},
		"without keys":          {federated(v1alpha1.IssuerNotFound("github")), is(v1alpha1.IssuerKeysFailed(v1alpha1.ReasonWeakKey, "it is short")), "IssuerNotFound", "reason WeakKey. JWTs", describe},
		"none":                  {federated(v1alpha1.IssuerNotFound("github")), nil, "IssuerNotFound", "There is no OAuth2TrustedIssuer", ""},
		"another namespace":     {federated(v1alpha1.NotAllowedByIssuer("github")), is(v1alpha1.IssuerTrusted()), "NotAllowedByIssuer", "does not let this namespace", ""},
		"both are not as usual": {federated(v1alpha1.NotAllowedByIssuer("github")), is(v1alpha1.IssuerIsSuspended()), "NotAllowedByIssuer", "does not let this namespace", ""},
	} {
		t.Run(name, func(t *testing.T) {
			expect(t, verdict.WithIssuer(verdict.OfClient(c.client, verdict.Request{}), c.client, c.issuer), c.reason, c.says, c.does)
		})
	}
	t.Run("a tenant", func(t *testing.T) {
		c := federated()
		expect(t, verdict.WithoutIssuer(verdict.OfClient(c, verdict.Request{}), c), "", "gets a token", "You may not read OAuth2TrustedIssuer")
		c = federated(v1alpha1.NotAllowedByIssuer("github"))
		expect(t, verdict.WithoutIssuer(verdict.OfClient(c, verdict.Request{}), c), "NotAllowedByIssuer", "does not let this namespace", "")
	})
}

// Every reason for which the JWT of a trusted issuer is refused says what to do.
func TestARefusedJWTOfATrustedIssuerIsExplained(t *testing.T) {
	for reason, does := range map[string]string{
		"IssuerNotFound": "OAuth2TrustedIssuer", "IssuerSuspended": "administrator", "OwnIssuer": "ServiceAccount", "NotAllowedByIssuer": "spec.namespaces",
		"KeysStale": "could not be fetched", "WrongSubject": "Decode the JWT", "WrongClaim": "Decode the JWT", "ClientIDNeeded": "Send the client_id",
	} {
		expect(t, verdict.OfDecision(verdict.Decision{Endpoint: "token", Outcome: "refused", Status: 401, Reason: reason}), reason, "was refused", does)
	}
}
