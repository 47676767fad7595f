// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package app

import "testing"

// What a Secret has as ca.crt verifies a URL of it, or it has none.
func TestSecretsHaveACAIfAURLOfTheirsNeedsIt(t *testing.T) {
	for name, c := range map[string]struct {
		trust         Trust
		secret, added bool
	}{
		"one certificate of ours":                            {Trust{}, true, false},
		"a second one, and a bundle of both":                 {Trust{IssuerCA: "ca.crt"}, true, true},
		"a public one at the issuer alone":                   {Trust{IssuerCA: publicCA}, false, false},
		"a public one at the issuer, and ours at the other":  {Trust{IssuerCA: publicCA, InternalURL: "https://a.b.svc"}, true, false},
		"two addresses and two certificates of private ones": {Trust{IssuerCA: "ca.crt", InternalURL: "https://a.b.svc"}, true, true},
	} {
		t.Run(name, func(t *testing.T) {
			if got := c.trust.bundle("system").Name != ""; got != c.secret {
				t.Errorf("Secrets have ca.crt: %t", got)
			}
			if got := c.trust.issuerCA() != nil; got != c.added {
				t.Errorf("authorities are added: %t", got)
			}
		})
	}
}
