// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package show

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
)

// GrantTypes are the grant types of a client, in the words of its spec; empty if it names none.
func GrantTypes(c *v1alpha1.OAuth2Client) string { return strings.Join(texts(c.Spec.GrantTypes), ", ") }

// RedirectURIs are where people may be sent with a code.
func RedirectURIs(c *v1alpha1.OAuth2Client) []string { return texts(c.Spec.RedirectURIs) }

// LoginPlace is where people log in for a client, in words; empty for a client without codes.
func LoginPlace(c *v1alpha1.OAuth2Client) string {
	if !slices.Contains(c.Spec.GrantTypes, v1alpha1.GrantAuthorizationCode) {
		return ""
	}
	text := "at the only OAuth2TrustedIssuer with a login that the namespace may use"
	if c.Spec.LoginIssuerName != "" {
		text = "at OAuth2TrustedIssuer " + c.Spec.LoginIssuerName
	}
	if c.Spec.Consent == v1alpha1.ConsentAlways {
		text += "; they are asked each time"
	}
	return text
}

// RefreshTokens is how long people stay logged in at a client, in words; empty for a client without
// codes.
func RefreshTokens(c *v1alpha1.OAuth2Client) string {
	refresh := c.Spec.RefreshTokens
	switch {
	case LoginPlace(c) == "":
		return ""
	case refresh == (v1alpha1.RefreshTokensSpec{}), refresh.MaxRefreshes != nil && *refresh.MaxRefreshes == 0:
		return "none: people log in again when a token has expired"
	}
	text := fmt.Sprintf("for %s after the login at most", cmp.Or(refresh.Lifetime, "8h"))
	if refresh.IdleTimeout != "" {
		text += fmt.Sprintf(", and %s without use", refresh.IdleTimeout)
	}
	if refresh.MaxRefreshes != nil {
		text += fmt.Sprintf(", used %d times at most", *refresh.MaxRefreshes)
	}
	return text
}

// IssuerLogin is how people log in at an issuer, in words; empty for an issuer without a login.
func IssuerLogin(i *v1alpha1.OAuth2TrustedIssuer) string {
	login := i.Spec.Login
	if login.ClientID == "" {
		return ""
	}
	text := fmt.Sprintf("as its client %s, by the Secret %s in the namespace of login", login.ClientID, login.ClientSecretRef.Name)
	var must []string
	if len(login.Allowed.Groups) > 0 {
		must = append(must, cmp.Or(login.GroupsClaim, "groups")+" "+alternatives(login.Allowed.Groups))
	}
	if must = append(must, claims(login.Allowed.Claims)...); len(must) > 0 {
		text += "; people with " + strings.Join(must, ", ")
	}
	return text
}
