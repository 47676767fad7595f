// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"slices"
	"testing"
	"time"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
)

// What a policy permits counts only if the owners of namespaces cannot give themselves its label.
func TestAPolicyPermitsCodesByProtectedLabels(t *testing.T) {
	s := &Source{ProtectedLabels: []string{"kubernetes.io/metadata.name"}}
	spec := v1alpha1.OAuth2PolicySpec{
		GrantTypes:            []v1alpha1.GrantType{v1alpha1.GrantAuthorizationCode},
		AuthenticationMethods: []v1alpha1.AuthenticationMethod{v1alpha1.ByNone},
		RedirectURIs:          []v1alpha1.RedirectURIPattern{"https://*.shop.example.com/*"},
		MaxRefreshLifetime:    "24h",
	}
	const uri = "https://a.shop.example.com/callback"
	for name, c := range map[string]struct {
		label     string
		permitted bool
		lifetime  time.Duration
	}{
		"all namespaces":          {"", true, 24 * time.Hour},
		"a label that is ours":    {"kubernetes.io/metadata.name", true, 24 * time.Hour},
		"a label of the tenant's": {"team", false, 8 * time.Hour},
	} {
		if spec.NamespaceSelector.MatchLabels = nil; c.label != "" {
			spec.NamespaceSelector.MatchLabels = map[string]v1alpha1.LabelValue{c.label: "shop"}
		}
		got := oauth2.Ceilings{}.And(s.ceilingsOf(&spec))
		if got.AllowGrantType("AuthorizationCode") != c.permitted || got.AllowMethod("None") != c.permitted || got.AllowRedirectURI(uri) != c.permitted {
			t.Errorf("%s: %+v", name, got)
		}
		if refresh := got.Refreshing(oauth2.Refreshing{Lifetime: 48 * time.Hour}); refresh.Lifetime != c.lifetime {
			t.Errorf("%s: refresh tokens for %s, want %s", name, refresh.Lifetime, c.lifetime)
		}
	}
	// a limit holds in any case
	spec.MaxRefreshLifetime = "1h"
	if refresh := s.ceilingsOf(&spec).Refreshing(oauth2.Refreshing{Lifetime: 48 * time.Hour}); refresh.Lifetime != time.Hour {
		t.Errorf("refresh tokens for %s, want an hour", refresh.Lifetime)
	}
}

func TestTheIssuersOfAClientAreNamedOnce(t *testing.T) {
	for name, c := range map[string]struct {
		federated, login string
		want             []string
	}{
		"none":     {},
		"one":      {login: "corp", want: []string{"corp"}},
		"two":      {federated: "github", login: "corp", want: []string{"github", "corp"}},
		"the same": {federated: "corp", login: "corp", want: []string{"corp"}},
	} {
		client := &v1alpha1.OAuth2Client{}
		client.Spec.Authentication.FederatedToken.IssuerName, client.Spec.LoginIssuerName = c.federated, c.login
		if got := IssuersOf(client); !slices.Equal(got, c.want) {
			t.Errorf("%s: %q", name, got)
		}
	}
}
