// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package oauth2policy

import (
	"testing"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
)

// A policy that only limits holds by any label, and its status must not warn of it.
func TestAPolicyThatPermitsSomethingNeedsAProtectedLabel(t *testing.T) {
	for name, c := range map[string]struct {
		spec v1alpha1.OAuth2PolicySpec
		want bool
	}{
		"nothing":               {v1alpha1.OAuth2PolicySpec{}, false},
		"limits":                {v1alpha1.OAuth2PolicySpec{MaxTokenLifetime: "10m", MaxRefreshLifetime: "1h", MaxClients: new(int32(1))}, false},
		"methods of before":     {v1alpha1.OAuth2PolicySpec{AuthenticationMethods: []v1alpha1.AuthenticationMethod{v1alpha1.ByServiceAccount}}, false},
		"grant types of before": {v1alpha1.OAuth2PolicySpec{GrantTypes: []v1alpha1.GrantType{v1alpha1.GrantJWTBearer}}, false},
		"client_ids":            {v1alpha1.OAuth2PolicySpec{ClientIDs: []v1alpha1.IdentifierPattern{"a"}}, true},
		"redirect URIs":         {v1alpha1.OAuth2PolicySpec{RedirectURIs: []v1alpha1.RedirectURIPattern{"https://*"}}, true},
		"federated clients":     {v1alpha1.OAuth2PolicySpec{AuthenticationMethods: []v1alpha1.AuthenticationMethod{v1alpha1.ByFederatedToken}}, true},
		"public clients":        {v1alpha1.OAuth2PolicySpec{AuthenticationMethods: []v1alpha1.AuthenticationMethod{v1alpha1.ByNone}}, true},
		"exchange":              {v1alpha1.OAuth2PolicySpec{GrantTypes: []v1alpha1.GrantType{v1alpha1.GrantTokenExchange}}, true},
		"codes":                 {v1alpha1.OAuth2PolicySpec{GrantTypes: []v1alpha1.GrantType{v1alpha1.GrantAuthorizationCode}}, true},
		"long-lived refresh":    {v1alpha1.OAuth2PolicySpec{MaxRefreshLifetime: "8h1s"}, true},
		"refresh for as long as without a policy": {v1alpha1.OAuth2PolicySpec{MaxRefreshLifetime: "8h"}, false},
	} {
		if got := permits(&c.spec); got != c.want {
			t.Errorf("%s: %t", name, got)
		}
	}
}
