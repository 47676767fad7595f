// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package show_test

import (
	"strings"
	"testing"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/cmd/kubectl-hallpass/show"
)

func TestAClientForWhichPeopleLogInIsDescribed(t *testing.T) {
	c := &v1alpha1.OAuth2Client{}
	c.Name, c.Namespace = "web", "shop"
	if text := show.DescribeClient(c, nil, nil, now); strings.Contains(text, "log in") || strings.Contains(text, "refresh") || strings.Contains(text, "grant types") {
		t.Errorf("a client of machines is described as:\n%s", text)
	}
	c.Spec.GrantTypes = []v1alpha1.GrantType{v1alpha1.GrantAuthorizationCode}
	c.Spec.Authentication.Method = v1alpha1.ByNone
	c.Spec.RedirectURIs = []v1alpha1.RedirectURI{"https://shop.test/cb", "http://localhost/cb"}
	c.Status.ConfigMap.Name = "web"
	for name, want := range map[string]struct {
		change func(*v1alpha1.OAuth2ClientSpec)
		says   []string
	}{
		"without refresh tokens": {func(*v1alpha1.OAuth2ClientSpec) {}, []string{
			"nothing: it is a public client; ConfigMap web has the URLs", "AuthorizationCode", "https://shop.test/cb", "http://localhost/cb",
			"at the only OAuth2TrustedIssuer", "none: people log in again",
		}},
		"with all": {func(s *v1alpha1.OAuth2ClientSpec) {
			s.LoginIssuerName, s.Consent = "corp", v1alpha1.ConsentAlways
			s.RefreshTokens = v1alpha1.RefreshTokensSpec{Lifetime: "24h", IdleTimeout: "1h", MaxRefreshes: new(int32(7))}
		}, []string{"at OAuth2TrustedIssuer corp; they are asked each time", "for 24h after the login at most, and 1h without use, used 7 times at most"}},
		"by default": {func(s *v1alpha1.OAuth2ClientSpec) {
			s.RefreshTokens = v1alpha1.RefreshTokensSpec{IdleTimeout: "1h"}
		}, []string{"for 8h after the login at most"}},
		"with no refresh": {func(s *v1alpha1.OAuth2ClientSpec) {
			s.RefreshTokens = v1alpha1.RefreshTokensSpec{Lifetime: "8h", MaxRefreshes: new(int32(0))}
		}, []string{"none: people log in again"}},
	} {
		described := c.DeepCopy()
		want.change(&described.Spec)
		text := show.DescribeClient(described, nil, nil, now)
		for _, says := range want.says {
			if !strings.Contains(text, says) {
				t.Errorf("%s: %q is missing in:\n%s", name, says, text)
			}
		}
	}
}

func TestAnIssuerAtWhichPeopleLogInIsDescribed(t *testing.T) {
	i := issuer("", v1alpha1.IssuerTrusted())
	if text := show.DescribeIssuer(i, now); strings.Contains(text, "log in") {
		t.Errorf("an issuer of machines is described as:\n%s", text)
	}
	i.Spec.Login = v1alpha1.IssuerLoginSpec{
		ClientID: "hallpass", ClientSecretRef: v1alpha1.LoginSecretReference{Name: "corp"},
		Allowed: v1alpha1.LoginAllowedSpec{
			Groups: []v1alpha1.RequiredValue{"staff", "admins"}, Claims: []v1alpha1.RequiredClaim{{Name: "hd", Values: []v1alpha1.RequiredValue{"example.com"}}},
		},
	}
	const want = `as its client hallpass, by the Secret corp in the namespace of login; people with groups "staff" or "admins", hd "example.com"`
	if text := show.DescribeIssuer(i, now); !strings.Contains(text, want) {
		t.Errorf("it is described as:\n%s", text)
	}
}
