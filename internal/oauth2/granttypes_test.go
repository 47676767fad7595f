// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package oauth2_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hallpass-dev/hallpass/internal/oauth2"
)

func TestGrantTypesByTheirNames(t *testing.T) {
	for name, c := range map[string]struct {
		names               []string
		known               bool
		credentials, bearer bool
		again               []string
	}{
		"none are client credentials":       {nil, true, true, false, nil},
		"client credentials alone":          {[]string{"ClientCredentials"}, true, true, false, nil},
		"both, in any order":                {[]string{"JWTBearer", "ClientCredentials"}, true, true, true, []string{"ClientCredentials", "JWTBearer"}},
		"an assertion alone":                {[]string{"JWTBearer"}, true, false, true, []string{"JWTBearer"}},
		"one of a later version beside one": {[]string{"Later", "JWTBearer"}, true, false, true, []string{"JWTBearer"}},
		"one of a later version alone":      {[]string{"Later"}, false, true, false, nil},
	} {
		t.Run(name, func(t *testing.T) {
			got, known := oauth2.GrantTypesOf(c.names)
			if known != c.known || got.Has(oauth2.ClientCredentials) != c.credentials || got.Has(oauth2.JWTBearer) != c.bearer {
				t.Errorf("%v, known: %t", got, known)
			}
			if diff := cmp.Diff(c.again, got.Names()); diff != "" {
				t.Errorf("names (-want +got):\n%s", diff)
			}
		})
	}
}

func TestAClientUsesTheGrantTypesThatItHas(t *testing.T) {
	client := shop()
	for _, c := range []struct {
		has, asks oauth2.GrantTypes
		refused   bool
	}{
		{0, oauth2.ClientCredentials, false},
		{0, oauth2.JWTBearer, true},
		{oauth2.JWTBearer, oauth2.ClientCredentials, true},
		{oauth2.JWTBearer, oauth2.JWTBearer, false},
		{oauth2.ClientCredentials | oauth2.JWTBearer, oauth2.ClientCredentials, false},
		{oauth2.ClientCredentials | oauth2.JWTBearer, oauth2.JWTBearer, false},
		{oauth2.JWTBearer, 0, true},
	} {
		client.GrantTypes = c.has
		err := oauth2.TokenRequest{GrantType: c.asks}.CheckGrantType(client)
		if (err != nil) != c.refused {
			t.Errorf("%v asks for %v: %v", c.has, c.asks, err)
		}
		if c.refused && (codeOf(err) != oauth2.UnauthorizedClient || oauth2.ReasonOf(err) != oauth2.ReasonGrantTypeNotAllowed || !strings.Contains(err.Error(), "spec.grantTypes")) {
			t.Errorf("%v asks for %v: %v", c.has, c.asks, err)
		}
	}
}

func TestPoliciesAllowGrantTypes(t *testing.T) {
	const credentials, bearer = "ClientCredentials", "JWTBearer"
	silent, one, other := oauth2.Ceilings{}, oauth2.Ceilings{GrantTypes: []string{credentials}}, oauth2.Ceilings{GrantTypes: []string{bearer}}
	for name, c := range map[string]struct {
		ceilings            oauth2.Ceilings
		credentials, bearer bool
	}{
		"no policy":                           {silent, true, true},
		"one that lists one":                  {silent.And(one), true, false},
		"one that lists one and a silent one": {one.And(silent), true, false},
		"two with none in common":             {one.And(other), false, false},
	} {
		if c.ceilings.AllowGrantType(credentials) != c.credentials || c.ceilings.AllowGrantType(bearer) != c.bearer {
			t.Errorf("%s: %v", name, c.ceilings.GrantTypes)
		}
	}
}
