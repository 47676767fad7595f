// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package change_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/cmd/kubectl-hallpass/change"
)

func rendered(t *testing.T, spec any) string {
	t.Helper()
	text, err := json.Marshal(spec)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestCreatedSpecsHaveNothingThatWasNotAskedFor(t *testing.T) {
	c, err := change.NewClient{Name: "a", Namespace: "shop", Access: []string{"orders/api=read,write", "own=x"}, ServiceAccount: "worker"}.Client()
	if err != nil {
		t.Fatal(err)
	}
	empty, err := change.NewClient{Name: "a", Namespace: "shop"}.Client()
	if err != nil {
		t.Fatal(err)
	}
	claims, err := change.ParseClaims([]string{"environment=prod,staging", "id=7=4"})
	if err != nil {
		t.Fatal(err)
	}
	job, err := change.NewClient{Federated: change.Federated{Issuer: "github", Subject: "repo:a/b:ref:x=y", Claims: claims}}.Client()
	if err != nil {
		t.Fatal(err)
	}
	jobs, err := change.NewClient{Federated: change.Federated{Issuer: "github", SubjectPrefix: "repo:a/", Claims: claims[1:]}}.Client()
	if err != nil {
		t.Fatal(err)
	}
	web, err := change.NewClient{Codes: change.Codes{
		RedirectURIs: []string{"http://localhost/cb"}, Public: true, Issuer: "corp", RefreshLifetime: "8h",
	}}.Client()
	if err != nil {
		t.Fatal(err)
	}
	both, err := change.NewClient{Codes: change.Codes{
		RedirectURIs: []string{"https://a.test/cb"}, GrantTypes: []string{"ClientCredentials", "AuthorizationCode"},
	}}.Client()
	if err != nil {
		t.Fatal(err)
	}
	bearer, err := change.NewClient{Codes: change.Codes{GrantTypes: []string{"JWTBearer"}}}.Client()
	if err != nil {
		t.Fatal(err)
	}
	r, err := change.NewResource{Name: "api", Namespace: "orders", Scopes: change.ParseScopes([]string{"read=Read them", "write"}), To: []string{"shop"}}.Resource()
	if err != nil {
		t.Fatal(err)
	}
	end := time.Date(2027, 1, 31, 12, 0, 0, 5, time.FixedZone("", 3600))
	for want, got := range map[string]any{
		`{"access":[{"resourceNamespace":"orders","resourceName":"api","scopes":["read","write"]},{"resourceNamespace":"shop","resourceName":"own","scopes":["x"]}],` +
			`"authentication":{"method":"ServiceAccount","serviceAccount":{"name":"worker"}}}`: c.Spec,
		`{"authentication":{"method":"FederatedToken","federatedToken":{"issuerName":"github","subject":"repo:a/b:ref:x=y","claims":[` +
			`{"name":"environment","values":["prod","staging"]},{"name":"id","values":["7=4"]}]}}}`: job.Spec,
		`{"authentication":{"method":"FederatedToken","federatedToken":{"issuerName":"github","subjectPrefix":"repo:a/","claims":[{"name":"id","values":["7=4"]}]}}}`: jobs.Spec,
		`{}`: empty.Spec,
		`{"grantTypes":["AuthorizationCode"],"redirectURIs":["http://localhost/cb"],"refreshTokens":{"lifetime":"8h"},"loginIssuerName":"corp",` +
			`"authentication":{"method":"None"}}`: web.Spec,
		`{"grantTypes":["ClientCredentials","AuthorizationCode"],"redirectURIs":["https://a.test/cb"]}`: both.Spec,
		`{"grantTypes":["JWTBearer"]}`: bearer.Spec,
		`{"scopes":[{"name":"read","description":"Read them"},{"name":"write"}],"grants":[{"from":{"namespaces":["shop"]},"scopes":["read","write"]}]}`: r.Spec,
		`{"clientRef":{"name":"a"},"mode":"Fixed","expirationTime":"2027-01-31T11:00:00Z"}`:                                                             change.NewToken{Client: "a", End: end}.Token().Spec,
		`{"clientRef":{"name":"a"},"mode":"Refreshing","scopes":["read"],"secret":{"name":"s"}}`: change.NewToken{
			Client: "a", Scopes: []string{"read"}, SecretName: "s",
		}.Token().Spec,
	} {
		if diff := cmp.Diff(want, rendered(t, got)); diff != "" {
			t.Errorf("spec (-want +got):\n%s", diff)
		}
	}
}

func TestCreateRefusesWhatSaysTooLittle(t *testing.T) {
	for _, access := range []string{"", "orders/api", "orders/api=", "/api=read", "orders/=read", "orders/orders/api=read", "Orders/api=read"} {
		if _, err := (change.NewClient{Namespace: "shop", Access: []string{access}}).Client(); err == nil {
			t.Errorf("--access=%q is accepted", access)
		}
	}
	for _, claim := range []string{"a=", "=a", "a", ""} {
		if _, err := change.ParseClaims([]string{claim}); err == nil {
			t.Errorf("--claim=%q is accepted", claim)
		}
	}
	claim := []v1alpha1.RequiredClaim{{Name: "a", Values: []v1alpha1.RequiredValue{"b"}}}
	for text, n := range map[string]change.NewClient{
		"no issuer":                                {Federated: change.Federated{Subject: "a"}},
		"a prefix without one":                     {Federated: change.Federated{SubjectPrefix: "a/"}},
		"a claim without an issuer":                {Federated: change.Federated{Claims: claim}},
		"every JWT":                                {Federated: change.Federated{Issuer: "github"}},
		"two methods":                              {Federated: change.Federated{Issuer: "github", Subject: "a"}, ServiceAccount: "b"},
		"two subjects":                             {Federated: change.Federated{Issuer: "github", Subject: "a/b", SubjectPrefix: "a/", Claims: claim}},
		"codes without a place to send people":     {Codes: change.Codes{GrantTypes: []string{"AuthorizationCode"}}},
		"a public client without one":              {Codes: change.Codes{Public: true}},
		"an issuer of logins without one":          {Codes: change.Codes{Issuer: "corp"}},
		"refresh tokens without one":               {Codes: change.Codes{RefreshLifetime: "8h"}},
		"a redirect URI for another grant type":    {Codes: change.Codes{RedirectURIs: []string{"https://a.test/"}, GrantTypes: []string{"JWTBearer"}}},
		"a public client with a service account":   {ServiceAccount: "worker", Codes: change.Codes{RedirectURIs: []string{"https://a.test/"}, Public: true}},
		"a public client of a trusted issuer, too": {Federated: change.Federated{Issuer: "github", Subject: "a"}, Codes: change.Codes{RedirectURIs: []string{"https://a.test/"}, Public: true}},
	} {
		if _, err := n.Client(); err == nil {
			t.Errorf("%s is accepted", text)
		}
	}
	if _, err := (change.NewResource{To: []string{"shop"}}).Resource(); err == nil {
		t.Error("a grant of no scopes is accepted")
	}
}

func TestPatches(t *testing.T) {
	now := time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)
	for want, got := range map[string]change.Patch{
		`{"spec":{"state":"Suspended"}}`: change.State(v1alpha1.ClientSuspended),
		`{"metadata":{"annotations":{"hallpass.dev/rotate":"1","hallpass.dev/rotate-without-overlap":"1"}}}`: change.RotateNow("1"),
		`{"metadata":{"annotations":{"hallpass.dev/rotate":"1"}}}`:                                           change.Rotate("1"),
		`{"spec":{"revokeTokensIssuedBefore":"2036-11-26T12:00:00Z"}}`:                                       change.RevokeTokens(now),
		`{"spec":{"revokeTokensIssuedBefore":"2036-11-26T12:00:01Z"}}`:                                       change.RevokeTokens(now.Add(time.Second)),
	} {
		if diff := cmp.Diff(want, rendered(t, got)); diff != "" {
			t.Errorf("patch (-want +got):\n%s", diff)
		}
	}
}
