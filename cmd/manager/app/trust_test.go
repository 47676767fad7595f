// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"testing"

	"github.com/hallpass-dev/hallpass/internal/oauth2"
)

// What a Secret has as ca.crt verifies a URL of it, or it has none.
func TestSecretsHaveACAIfAURLOfTheirsNeedsIt(t *testing.T) {
	const https, plain = "https://hallpass.example.com", "http://hallpass.example.com"
	for name, c := range map[string]struct {
		issuer        string
		manages       bool
		trust         Trust
		secret, added bool
	}{
		"one certificate of ours":                            {https, true, Trust{}, true, false},
		"a second one, and a bundle of both":                 {https, true, Trust{IssuerCA: "ca.crt"}, true, true},
		"a public one at the issuer alone":                   {https, true, Trust{IssuerCA: publicCA}, false, false},
		"a public one at the issuer, and ours at the other":  {https, true, Trust{IssuerCA: publicCA, InternalURL: "https://a.b.svc"}, true, false},
		"two addresses and two certificates of private ones": {https, true, Trust{IssuerCA: "ca.crt", InternalURL: "https://a.b.svc"}, true, true},
		"one certificate of another tool":                    {https, false, Trust{}, true, false},
		"http, and a certificate of ours":                    {plain, true, Trust{}, true, false},
		"http, and no certificate":                           {plain, false, Trust{}, false, false},
		"http at two addresses":                              {plain, false, Trust{InternalURL: "http://a.b.svc"}, false, false},
		"http at one address of two":                         {plain, false, Trust{InternalURL: "https://a.b.svc"}, true, false},
	} {
		t.Run(name, func(t *testing.T) {
			issuer, err := oauth2.ParseIssuer(c.issuer, true)
			if err != nil {
				t.Fatal(err)
			}
			o := Options{Issuer: issuer, SystemNamespace: "system", ManageServingCertificate: c.manages, Trust: c.trust}
			if got := o.caBundle().Name != ""; got != c.secret {
				t.Errorf("Secrets have ca.crt: %t", got)
			}
			if got := c.trust.issuerCA() != nil; got != c.added {
				t.Errorf("authorities are added: %t", got)
			}
		})
	}
}
