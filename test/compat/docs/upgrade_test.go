// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package docs_test

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/internal/jws"
	"github.com/hallpass-dev/hallpass/internal/keyring"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
	"github.com/hallpass-dev/hallpass/internal/registration"
	"github.com/hallpass-dev/hallpass/internal/revocation"
	"github.com/hallpass-dev/hallpass/internal/wire"
)

// formIn is the form of a record.
func formIn(t *testing.T, data map[string][]byte, err error) wire.Form {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	var form wire.Form
	for entry, document := range data {
		if entry == "ring.json" && data["form.json"] != nil {
			continue
		}
		if err := json.Unmarshal(document, &form); err != nil {
			t.Fatal(err)
		}
	}
	return form
}

// formsOfClients are the forms of registrations, by their names in docs/upgrade.md.
func formsOfClients(t *testing.T) map[string]wire.Form {
	t.Helper()
	forms := map[string]wire.Form{}
	codes := func(c *oauth2.Client) {
		c.Codes, c.GrantTypes = &oauth2.Codes{RedirectURIs: []string{"https://app.test"}}, oauth2.AuthorizationCode|oauth2.ClientCredentials
	}
	for name, change := range map[string]func(*oauth2.Client){
		"registration of a client with a JWT of a trusted issuer": func(c *oauth2.Client) {
			c.Credentials.Federated = &oauth2.Federated{IssuerName: "github", Subject: "x"}
		},
		"registration with `spec.grantTypes` that include `ClientCredentials`": func(c *oauth2.Client) {
			c.GrantTypes = oauth2.ClientCredentials | oauth2.TokenExchange
		},
		"registration with other `spec.grantTypes`": func(c *oauth2.Client) { c.GrantTypes = oauth2.TokenExchange },
		"registration with `maxAssertionLifetime` above 10 minutes, or the signing algorithm `Ed25519`": func(c *oauth2.Client) {
			c.Tokens.Algorithm = jws.Ed25519
		},
		"registration with authorization codes and `ClientCredentials`": codes,
		"such a registration with `maxAssertionLifetime` above 10 minutes, or `Ed25519`": func(c *oauth2.Client) {
			codes(c)
			c.Tokens.Algorithm = jws.Ed25519
		},
		"other registration with authorization codes, or of a public client": func(c *oauth2.Client) {
			codes(c)
			c.GrantTypes, c.Credentials.Public = oauth2.AuthorizationCode, true
		},
	} {
		c := oauth2.Client{ID: "shop.app", UID: "u", Namespace: "shop", Name: "app", Tokens: oauth2.TokenForm{Lifetime: time.Hour}}
		change(&c)
		data, err := registration.Encode(registration.Registration{Client: c})
		forms[name] = formIn(t, data, err)
	}
	return forms
}

// formsOfResources are the forms of records of resources.
func formsOfResources(t *testing.T) map[string]wire.Form {
	t.Helper()
	forms, consents := map[string]wire.Form{}, []oauth2.Consent{{Scopes: []string{"read"}, Namespaces: []string{"web"}}}
	for name, r := range map[string]oauth2.Resource{
		"resource with a grant for exchanged tokens": {Exchanged: consents},
		"resource with a grant for tokens of people": {Users: consents},
		"resource with descriptions of its scopes":   {Descriptions: []oauth2.Description{{Scope: "read", Text: "Read orders"}}},
	} {
		r.Identifier, r.UID, r.Namespace, r.Name, r.Scopes = "https://api.test", "u", "shop", "api", []string{"read"}
		data, err := registration.EncodeResource(r)
		forms[name] = formIn(t, data, err)
	}
	return forms
}

// formsOfIssuers are the forms of records of trusted issuers.
func formsOfIssuers(t *testing.T) map[string]wire.Form {
	t.Helper()
	login := &oauth2.Login{ClientID: "hallpass", SecretName: "corp", Scopes: []string{"openid"}}
	forms := map[string]wire.Form{}
	for name, issuer := range map[string]oauth2.TrustedIssuer{
		"trusted issuer for clients":               {},
		"trusted issuer for clients and people":    {Uses: oauth2.UseClient | oauth2.UsePerson},
		"trusted issuer for people":                {Uses: oauth2.UsePerson},
		"trusted issuer for clients, with a login": {Uses: oauth2.UseClient | oauth2.UsePerson, Login: login},
		"trusted issuer for people, with a login":  {Uses: oauth2.UsePerson, Login: login},
		"trust domain of SPIFFE":                   {Issuer: oauth2.TrustDomainID("corp.test")},
	} {
		issuer.Name, issuer.UID, issuer.Issuer = "corp", "u", cmp.Or(issuer.Issuer, "https://issuer.test")
		data, err := registration.EncodeIssuer(issuer)
		forms[name] = formIn(t, data, err)
	}
	return forms
}

// TestTheVersionsOfRecordsAreListed: each record that is not of version 1 has a row with its
// version and its oldest reader.
func TestTheVersionsOfRecordsAreListed(t *testing.T) {
	policy, now := keyring.DefaultPolicy(time.Hour), time.Now()
	policy.Algorithms = []jws.Algorithm{jws.Ed25519}
	rotation, err := keyring.Rotate(keyring.Ring{}, keyring.Time{Earliest: now, Latest: now}, policy, keyring.Order{}, keyring.Generate)
	if err != nil {
		t.Fatal(err)
	}
	keys, err := registration.EncodeKeys(rotation.Ring)
	forms := map[string]wire.Form{
		"usage report": {Version: v1alpha1.UsageReportWithTokenVersion, MinReader: 1},
		"usage report of a replica that lost uses":                                     {Version: v1alpha1.UsageReportWithTokenVersion, MinReader: v1alpha1.UsageReportWithLosses},
		"TokenRevocation with a redemption, or with generations of refresh tokens":     {Version: revocation.Version, MinReader: revocation.OldestReader},
		"signing keys with the [name `Ed25519`](signing-keys.md#two-names-of-ed25519)": formIn(t, keys, err),
	}
	for _, of := range []map[string]wire.Form{formsOfClients(t), formsOfResources(t), formsOfIssuers(t)} {
		maps.Copy(forms, of)
	}
	_, table, _ := strings.Cut(read(t, "docs/upgrade.md"), "| record | `version` |")
	table, _, _ = strings.Cut(table, "\n\n")
	for record, form := range forms {
		if row := fmt.Sprintf("\n| %s | %d | %d | ", record, form.Version, cmp.Or(form.MinReader, form.Version)); !strings.Contains(table, row) {
			t.Errorf("docs/upgrade.md does not have the row %s", strings.TrimSpace(row))
		}
	}
	if rows := strings.Count(table, "\n| "); rows != len(forms) {
		t.Errorf("docs/upgrade.md lists %d records, and this test %d", rows, len(forms))
	}
}
