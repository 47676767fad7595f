// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package provider

import (
	"net/url"
	"strings"
	"testing"

	"github.com/hallpass-dev/hallpass/internal/loginport"
)

// FuzzEndpoint sends browsers to whatever a discovery document names: an endpoint that is accepted
// leads to https and to the host that it names, also with the parameters of the request.
func FuzzEndpoint(f *testing.F) {
	for _, endpoint := range []string{
		"https://idp.example.com/authorize", "https://idp.example.com/authorize?tenant=a&x=%20", "https://[::1]:8443/a", "http://idp.example.com/a",
		"https://user@idp.example.com/", "https:idp.example.com", "https:///a", "//idp.example.com", "javascript:alert(1)", "https://idp.example.com/#x",
		"https://idp.example.com\\@evil.example/", "https://idp.example.com%2f@evil.example", "https://idp.example.com?a=1;b=2",
	} {
		f.Add(endpoint)
	}
	f.Fuzz(func(t *testing.T, endpoint string) {
		if !isHTTPS(endpoint) {
			return
		}
		found := endpoints{AuthorizationEndpoint: endpoint, TokenEndpoint: endpoint}
		to := found.client(loginport.Provider{ClientID: "hallpass", Scopes: []string{"openid"}}, "https://login.example.com/callback/corp", "").AuthCodeURL("state")
		sent, err := url.Parse(to)
		named, namedErr := url.Parse(endpoint)
		if err != nil || namedErr != nil || sent.Scheme != "https" || sent.Host != named.Host || sent.User != nil || !strings.HasPrefix(to, "https") && !strings.HasPrefix(to, "HTTPS") {
			t.Errorf("%q leads to %q: %v", endpoint, to, err)
		}
	})
}
