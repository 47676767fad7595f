// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package oauth2_test

import (
	"strings"
	"testing"
	"time"

	"github.com/hallpass-dev/hallpass/internal/oauth2"
)

func TestAPolicyAllowsRedirectURIsByPatterns(t *testing.T) {
	shop := []string{"https://*.shop.example.com/*", "http://localhost/*", "http://127.0.0.1:8080/cb", "cursor://*"}
	for name, c := range map[string]struct {
		lists [][]string
		uri   string
		want  bool
	}{
		"no policy":                               {nil, "https://a.shop.example.com/cb", false},
		"a host and a path":                       {[][]string{shop}, "https://a.shop.example.com/cb/deep?x", true},
		"the host itself":                         {[][]string{shop}, "https://shop.example.com/cb", false},
		"another host":                            {[][]string{shop}, "https://evil.example/a.shop.example.com/cb", false},
		"a host that ends alike":                  {[][]string{shop}, "https://evilshop.example.com/cb", false},
		"another scheme":                          {[][]string{shop}, "com.example.shop:/cb", false},
		"another port":                            {[][]string{shop}, "https://a.shop.example.com:8443/cb", false},
		"a loopback address":                      {[][]string{shop}, "http://localhost/cb", true},
		"any port of a loopback address":          {[][]string{shop}, "http://localhost:3000/cb", true},
		"the port of a pattern":                   {[][]string{shop}, "http://127.0.0.1:8080/cb", true},
		"not the port of a pattern":               {[][]string{shop}, "http://127.0.0.1:9090/cb", false},
		"any port where one is listed":            {[][]string{shop}, "http://127.0.0.1/cb", false},
		"another loopback address":                {[][]string{shop}, "http://[::1]/cb", false},
		"a scheme of an application":              {[][]string{shop}, "cursor://x.y/oauth/cb", true},
		"each policy has to allow it":             {[][]string{shop, {"https://b.shop.example.com/*"}}, "https://a.shop.example.com/cb", false},
		"each policy does":                        {[][]string{shop, {"https://a.shop.example.com/*"}}, "https://a.shop.example.com/cb", true},
		"everything of a scheme":                  {[][]string{{"https://*"}}, "https://a.example/b/c", true},
		"a pattern is no other scheme":            {[][]string{{"*"}}, "https://a.example/b", false},
		"nor is the beginning of one":             {[][]string{{"http*://a.example/*"}}, "https://a.example/b", false},
		"what no client may have is not allowed":  {[][]string{{"javascript:/*", "https://*"}}, "javascript:/x", false},
		"a host without a path":                   {[][]string{{"http://localhost"}}, "http://localhost:1", true},
		"a path where the pattern has none":       {[][]string{{"http://localhost"}}, "http://localhost:1/cb", false},
		"a user is no host of the pattern":        {[][]string{{"https://*"}}, "https://a.example@evil.example/", false},
		"a query is no host of the pattern":       {[][]string{shop}, "https://evil.example?.shop.example.com/cb", false},
		"a star in a path stops at the next one":  {[][]string{{"https://a.example/*/cb"}}, "https://a.example/x/y/cb", false},
		"a star in a path is for one segment":     {[][]string{{"https://a.example/*/cb"}}, "https://a.example/x/cb", true},
		"a policy with an empty list allows none": {[][]string{{}}, "https://a.example/x/cb", false},
	} {
		if got := (oauth2.Ceilings{RedirectURIs: c.lists}).AllowRedirectURI(c.uri); got != c.want {
			t.Errorf("%s: %t, want %t", name, got, c.want)
		}
	}
}

func FuzzAllowRedirectURI(f *testing.F) {
	f.Add("https://*.example.com/*", "https://a.example.com/cb")
	f.Add("http://localhost/*", "http://localhost:3000/cb")
	f.Add("cursor://*", "cursor://x/y")
	f.Fuzz(func(t *testing.T, pattern, uri string) {
		if !(oauth2.Ceilings{RedirectURIs: [][]string{{pattern}}}).AllowRedirectURI(uri) {
			return
		}
		scheme, _, _ := strings.Cut(uri, ":")
		if !oauth2.ValidRedirectURI(uri) || !strings.HasPrefix(pattern, scheme+":") || (oauth2.Ceilings{RedirectURIs: [][]string{{pattern}, {}}}).AllowRedirectURI(uri) {
			t.Errorf("%q allows %q", pattern, uri)
		}
	})
}

func TestPoliciesLimitRefreshTokens(t *testing.T) {
	asked := oauth2.Refreshing{Lifetime: 24 * time.Hour, Idle: 12 * time.Hour, Limited: true, Max: 7}
	for name, c := range map[string]struct {
		policies       []oauth2.Ceilings
		lifetime, idle time.Duration
	}{
		"no policy":              {nil, 8 * time.Hour, 8 * time.Hour},
		"a policy about another": {[]oauth2.Ceilings{{NoFreeFormScopes: true}}, 8 * time.Hour, 8 * time.Hour},
		"a longer one":           {[]oauth2.Ceilings{{Lifetimes: oauth2.Lifetimes{Refresh: 2160 * time.Hour}}}, 24 * time.Hour, 12 * time.Hour},
		"the strictest of two":   {[]oauth2.Ceilings{{Lifetimes: oauth2.Lifetimes{Refresh: 2160 * time.Hour}}, {Lifetimes: oauth2.Lifetimes{Refresh: time.Hour}}}, time.Hour, time.Hour},
		"in either order":        {[]oauth2.Ceilings{{Lifetimes: oauth2.Lifetimes{Refresh: time.Hour}}, {Lifetimes: oauth2.Lifetimes{Refresh: 2160 * time.Hour}}}, time.Hour, time.Hour},
	} {
		var ceilings oauth2.Ceilings
		for _, policy := range c.policies {
			ceilings = ceilings.And(policy)
		}
		want := oauth2.Refreshing{Lifetime: c.lifetime, Idle: c.idle, Limited: true, Max: 7}
		if got := ceilings.Refreshing(asked); got != want {
			t.Errorf("%s: %+v, want %+v", name, got, want)
		}
	}
}

func TestWhatNeedsAPolicyIsAllowedWhereOneListsIt(t *testing.T) {
	listing := oauth2.Ceilings{
		Methods: []string{"None"}, GrantTypes: []string{"AuthorizationCode"}, Permitted: []string{"None", "AuthorizationCode"},
	}
	unprotected := oauth2.Ceilings{Methods: []string{"None"}, GrantTypes: []string{"AuthorizationCode"}}
	for name, c := range map[string]struct {
		ceilings oauth2.Ceilings
		want     bool
	}{
		"no policy":                         {oauth2.Ceilings{}, false},
		"a policy that lists it":            {listing, true},
		"one that selects by another label": {unprotected, false},
		"another that does not list it":     {listing.And(oauth2.Ceilings{Methods: []string{"ClientSecret"}, GrantTypes: []string{"JWTBearer"}}), false},
		"another that sets neither":         {listing.And(oauth2.Ceilings{}), true},
	} {
		if c.ceilings.AllowMethod("None") != c.want || c.ceilings.AllowGrantType("AuthorizationCode") != c.want {
			t.Errorf("%s: None %t, AuthorizationCode %t", name, c.ceilings.AllowMethod("None"), c.ceilings.AllowGrantType("AuthorizationCode"))
		}
	}
	for name, want := range map[string]bool{
		"None": true, "FederatedToken": true, "AuthorizationCode": true, "TokenExchange": true, "ClientSecret": false, "JWTBearer": false,
	} {
		if oauth2.NeedsPolicy(name) != want {
			t.Errorf("%s needs a policy: %t", name, !want)
		}
	}
}
