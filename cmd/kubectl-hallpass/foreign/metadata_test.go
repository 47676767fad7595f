// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package foreign_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/hallpass-dev/hallpass/cmd/kubectl-hallpass/foreign"
)

const documentAddress = "https://app.example.com/client.json"

func TestAClientMetadataDocumentIsRead(t *testing.T) {
	m, err := foreign.ReadMetadata(documentAddress, []byte(`{"client_id":"https://app.example.com/client.json","client_name":"App","client_uri":"https://app.example.com",
		"contacts":["team@example.com"],"redirect_uris":["http://localhost/callback","https://app.example.com/callback"],
		"grant_types":["authorization_code","refresh_token","urn:ietf:params:oauth:grant-type:device_code"],"token_endpoint_auth_method":"none"}`))
	if err != nil {
		t.Fatal(err)
	}
	known, unknown := m.GrantTypes()
	if m.Name != "App" || !slices.Equal(m.Contacts, []string{"team@example.com"}) || len(m.RedirectURIs) != 2 || !slices.Equal(known, []string{"AuthorizationCode"}) ||
		!slices.Equal(unknown, []string{"urn:ietf:params:oauth:grant-type:device_code"}) {
		t.Errorf("read: %+v, grant types %q, unknown %q", m, known, unknown)
	}
	if known, _ := (foreign.Metadata{}).GrantTypes(); !slices.Equal(known, []string{"AuthorizationCode"}) {
		t.Errorf("grant types of a document without any: %q", known)
	}
	m, err = foreign.ReadMetadata(documentAddress, []byte(`{"client_id":"https://app.example.com/client.json","grant_types":["client_credentials"],
		"token_endpoint_auth_method":"private_key_jwt","jwks":{"keys":[]}}`))
	if err != nil || string(m.Keys) != `{"keys":[]}` {
		t.Errorf("of a client that signs: %+v, %v", m, err)
	}
}

func TestClientMetadataThatAreRefused(t *testing.T) {
	for want, document := range map[string]string{
		"is no client metadata":                                `<html>`,
		"distinct members":                                     `{"client_id":"https://app.example.com/client.json","client_id":"https://app.example.com/client.json","token_endpoint_auth_method":"none"}`,
		"is no client metadata (RFC 7591)":                     `{"client_id":7}`,
		"has to be the address of the document":                `{"client_id":"https://app.example.com/Client.json","token_endpoint_auth_method":"none"}`,
		"which everybody could read":                           `{"client_id":"https://app.example.com/client.json","token_endpoint_auth_method":"none","client_secret":""}`,
		"does not name how the client authenticates":           `{"client_id":"https://app.example.com/client.json"}`,
		`its token_endpoint_auth_method is "client_`:           `{"client_id":"https://app.example.com/client.json","token_endpoint_auth_method":"client_secret_basic"}`,
		"has to have them as jwks":                             `{"client_id":"https://app.example.com/client.json","token_endpoint_auth_method":"private_key_jwt","jwks_uri":"https://app.example.com/keys"}`,
		"none of its grant_types is one of Hallpass: implicit": `{"client_id":"https://app.example.com/client.json","token_endpoint_auth_method":"none","grant_types":["implicit"]}`,
		"private_key_jwt, and it has no jwks":                  `{"client_id":"https://app.example.com/client.json","token_endpoint_auth_method":"private_key_jwt","jwks":null}`,
		"and it has no jwks":                                   `{"client_id":"https://app.example.com/client.json","token_endpoint_auth_method":"private_key_jwt"}`,
	} {
		if _, err := foreign.ReadMetadata(documentAddress, []byte(document)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v; want %q", document, err, want)
		}
	}
}

func TestAddressesOfClientMetadata(t *testing.T) {
	for address, want := range map[string]string{
		documentAddress:                           "",
		"https://app.example.com:8443/a/b?v=1":    "",
		"http://app.example.com/client.json":      "no https URL",
		"https:///client.json":                    "no https URL",
		"https://app.example.com":                 "has no path",
		"https://app.example.com/":                "has no path",
		"https://app.example.com/a/../b":          `has ".." in its path`,
		"https://app.example.com/%2e/b":           `has "." in its path`,
		"https://app.example.com/client.json#":    "a user or a fragment",
		"https://me@app.example.com/client.json":  "a user or a fragment",
		"https://app.example.com/client.json\x7f": "no https URL",
	} {
		_, err := foreign.MetadataAddress(address)
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v; want %q", address, err, want)
		}
	}
}
