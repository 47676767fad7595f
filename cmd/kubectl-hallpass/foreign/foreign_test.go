// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package foreign_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hallpass-dev/hallpass/cmd/kubectl-hallpass/foreign"
)

const (
	hydraExport = `{"items":[
		{"client_id":"4f1c","client_name":"Reporting","scope":"read write","contacts":["a@example.com"],"grant_types":["client_credentials"],"token_endpoint_auth_method":"client_secret_basic"},
		{"client_id":"web","grant_types":["authorization_code"]},
		{"client_id":"keyed","grant_types":["client_credentials"],"token_endpoint_auth_method":"private_key_jwt"},
		{"client_id":"spa","token_endpoint_auth_method":"none"}]}`
	keycloakExport = `{"realm":"r","clients":[
		{"clientId":"reporting","name":"${client_reporting}","description":"Nightly","enabled":false,"serviceAccountsEnabled":true,"clientAuthenticatorType":"client-secret",
		 "secret":"**********","defaultClientScopes":["profile","orders.read"],"optionalClientScopes":["orders.write","email"]},
		{"clientId":"worker","enabled":true,"serviceAccountsEnabled":true,"secret":"0123456789abcdef0123456789abcdef"},
		{"clientId":"account","publicClient":true},{"clientId":"api","bearerOnly":true},{"clientId":"login"},
		{"clientId":"jwt","serviceAccountsEnabled":true,"clientAuthenticatorType":"client-jwt"}]}`
	csvExport = "client_id,name,scopes,secret,contacts\nA.B,Reporting,read write,0123456789abcdef0123456789abcdef,a@example.com b@example.com\na-b,,,short,\n"
)

func TestRead(t *testing.T) {
	for format, c := range map[string]struct {
		export string
		want   []foreign.Client
	}{
		"hydra": {hydraExport, []foreign.Client{
			{ID: "4f1c", Name: "Reporting", Scopes: []string{"read", "write"}, Contacts: []string{"a@example.com"}},
			{ID: "web", Skipped: "it uses authorization_code and not client_credentials"},
			{ID: "keyed", Skipped: "it has a key of its own: create it with spec.authentication.privateKeyJWT"},
			{ID: "spa", Skipped: "it is public, and does not authenticate"},
		}},
		"keycloak": {keycloakExport, []foreign.Client{
			{ID: "reporting", Description: "Nightly", Disabled: true, Scopes: []string{"orders.read", "orders.write"}},
			{ID: "worker", Secret: "0123456789abcdef0123456789abcdef"},
			{ID: "account", Skipped: "it is public, and does not authenticate"},
			{ID: "api", Skipped: "it is an API and fetches no tokens: declare it with create resource"},
			{ID: "login", Skipped: "it has no service account, so it does not use client_credentials"},
			{ID: "jwt", Skipped: "it authenticates by client-jwt"},
		}},
		"csv": {csvExport, []foreign.Client{
			{ID: "A.B", Name: "Reporting", Scopes: []string{"read", "write"}, Contacts: []string{"a@example.com", "b@example.com"}, Secret: "0123456789abcdef0123456789abcdef"},
			{ID: "a-b", Secret: "short"},
		}},
	} {
		got, err := foreign.Read(format, strings.NewReader(c.export))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(c.want, got, cmp.Transformer("", func(all []string) []string { return append([]string{}, all...) })); diff != "" {
			t.Errorf("%s (-want +got):\n%s", format, diff)
		}
	}
	// Spreadsheets write a byte order mark, and in some languages semicolons.
	plain, err := foreign.Read("csv", strings.NewReader(csvExport))
	if err != nil {
		t.Fatal(err)
	}
	saved, err := foreign.Read("csv", strings.NewReader("\ufeff"+strings.ReplaceAll(csvExport, ",", ";")))
	if diff := cmp.Diff(plain, saved); err != nil || diff != "" {
		t.Errorf("as a spreadsheet saves it: %v (-want +got):\n%s", err, diff)
	}
	// A list without the object around it is an export too.
	if got, err := foreign.Read("hydra", strings.NewReader(`[{"client_id":"a"}]`)); err != nil || len(got) != 1 {
		t.Errorf("a list: %v, %v", got, err)
	}
	if got, err := foreign.Read("keycloak", strings.NewReader(`[{"clientId":"a"}]`)); err != nil || len(got) != 1 {
		t.Errorf("a list: %v, %v", got, err)
	}
}

func TestReadRefusesWhatIsNoExport(t *testing.T) {
	for _, c := range [][2]string{
		{"hydra", "no JSON"}, {"hydra", `"text"`}, {"hydra", `{"items":[]}`}, {"hydra", `[{"client_name":"a"}]`}, {"keycloak", "no JSON"}, {"keycloak", `{"realm":"r"}`},
		{"keycloak", `{"clients":"x"}`}, {"csv", ""}, {"csv", "id,name\n1,2\n"}, {"csv", "client_id,unknown\na,b\n"}, {"csv", "client_id,name\na\n"}, {"okta", "{}"},
	} {
		if got, err := foreign.Read(c[0], strings.NewReader(c[1])); err == nil {
			t.Errorf("%s %q: %v", c[0], c[1], got)
		}
	}
}

func TestRender(t *testing.T) {
	clients, err := foreign.Read("csv", strings.NewReader(csvExport))
	if err != nil {
		t.Fatal(err)
	}
	var names foreign.Names
	first, second := names.Render("shop", clients[0]), names.Render("shop", clients[1])
	spec, err := json.Marshal(first.Client.Spec)
	if err != nil {
		t.Fatal(err)
	}
	const want = `{"displayName":"Reporting","contacts":["a@example.com","b@example.com"],"clientID":"A.B","scopes":["read","write"],"secret":{"name":"a-b","source":"Existing"}}`
	if diff := cmp.Diff(want, string(spec)); diff != "" {
		t.Errorf("spec (-want +got):\n%s", diff)
	}
	if first.Client.Name != "a-b" || second.Client.Name != "a-b-2" || second.Client.Spec.Secret.Name != "a-b-2" {
		t.Errorf("names %s and %s", first.Client.Name, second.Client.Name)
	}
	if first.Secret == nil || first.Secret.StringData["client_secret"] != clients[0].Secret || first.Secret.Labels["hallpass.dev/credentials"] != "true" || len(first.Notes) > 0 {
		t.Errorf("the Secret of the first is %v, notes %v", first.Secret, first.Notes)
	}
	if second.Secret != nil || len(second.Notes) != 1 || strings.Contains(second.Notes[0], "short ") {
		t.Errorf("a weak secret is rendered, notes %v", second.Notes)
	}
	if odd := names.Render("shop", foreign.Client{ID: "https://" + strings.Repeat("x", 300), Disabled: true}); len(odd.Client.Name) > 63 || odd.Client.Spec.State != "Suspended" {
		t.Errorf("a long client_id is named %s", odd.Client.Name)
	}
	if odd := names.Render("shop", foreign.Client{ID: "***"}); odd.Client.Name != "client" {
		t.Errorf("a client_id of signs alone is named %s", odd.Client.Name)
	}
}
