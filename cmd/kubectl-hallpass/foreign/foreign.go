// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

// Package foreign reads exports of the clients of other authorization servers, and renders
// OAuth2Clients that keep their identifiers. The package is pure.
package foreign

import (
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
)

// Client is a client of an export.
type Client struct {
	ID, Name, Description string
	Scopes, Contacts      []string
	// Secret is empty if the export has none, or only a hash or asterisks.
	Secret string
	// Disabled clients are suspended.
	Disabled bool
	// Skipped is why the client cannot be imported; empty if it can.
	Skipped string
}

// Formats are the names of the formats.
func Formats() []string { return []string{"hydra", "keycloak", "csv"} }

// Read reads an export.
func Read(format string, from io.Reader) ([]Client, error) {
	switch format {
	case "hydra":
		return readHydra(from)
	case "keycloak":
		return readKeycloak(from)
	case "csv":
		return readCSV(from)
	}
	return nil, fmt.Errorf("%q is no format of an export", format)
}

// hydra is a client as Ory Hydra exports it: RFC 7591 section 2.
type hydra struct {
	ID       string   `json:"client_id"`
	Name     string   `json:"client_name"`
	Scope    string   `json:"scope"`
	Contacts []string `json:"contacts"`
	Grants   []string `json:"grant_types"`
	Method   string   `json:"token_endpoint_auth_method"`
	Secret   string   `json:"client_secret"`
}

// readHydra reads the output of hydra list clients --format json.
func readHydra(from io.Reader) ([]Client, error) {
	var raw json.RawMessage
	if err := json.NewDecoder(from).Decode(&raw); err != nil {
		return nil, fmt.Errorf("the export is no JSON: %w. Write it with: hydra list clients --format json", err)
	}
	var read []hydra
	var list struct {
		Items []hydra `json:"items"`
	}
	if json.Unmarshal(raw, &read) != nil {
		if err := json.Unmarshal(raw, &list); err != nil {
			return nil, fmt.Errorf("the export has another form than that of hydra list clients --format json: %w", err)
		}
		read = list.Items
	}
	var all []Client
	for _, h := range read {
		all = append(all, h.client())
	}
	return checked(all)
}

func (h hydra) client() Client {
	c := Client{ID: h.ID, Name: h.Name, Scopes: strings.Fields(h.Scope), Contacts: h.Contacts, Secret: h.Secret}
	switch {
	case len(h.Grants) > 0 && !slices.Contains(h.Grants, "client_credentials"):
		c.Skipped = "it uses " + strings.Join(h.Grants, ", ") + " and not client_credentials"
	case h.Method == "none":
		c.Skipped = "it is public, and does not authenticate"
	case h.Method == "private_key_jwt":
		c.Skipped = "it has a key of its own: create it with spec.authentication.privateKeyJWT"
	}
	return c
}

// keycloak is a client as Keycloak exports it.
type keycloak struct {
	ID          string   `json:"clientId"`
	Name        string   `json:"name"`
	Description string   `json:"description"`
	Enabled     *bool    `json:"enabled"`
	Public      bool     `json:"publicClient"`
	BearerOnly  bool     `json:"bearerOnly"`
	Accounts    bool     `json:"serviceAccountsEnabled"`
	Method      string   `json:"clientAuthenticatorType"`
	Secret      string   `json:"secret"`
	Scopes      []string `json:"defaultClientScopes"`
	Optional    []string `json:"optionalClientScopes"`
}

// standardScopes are those that Keycloak gives every client, for people who log in.
func standardScopes() []string {
	return []string{
		"web-origins", "acr", "profile", "roles", "email", "address", "phone", "offline_access", "microprofile-jwt", "basic", "service_account", "organization",
	}
}

// readKeycloak reads an export of a realm, or a list of clients.
func readKeycloak(from io.Reader) ([]Client, error) {
	var raw json.RawMessage
	if err := json.NewDecoder(from).Decode(&raw); err != nil {
		return nil, fmt.Errorf("the export is no JSON: %w. Export the realm with its clients", err)
	}
	var read []keycloak
	var realm struct {
		Clients []keycloak `json:"clients"`
	}
	if json.Unmarshal(raw, &read) != nil {
		if err := json.Unmarshal(raw, &realm); err != nil {
			return nil, fmt.Errorf("the export has another form than that of a realm of Keycloak: %w", err)
		}
		read = realm.Clients
	}
	var all []Client
	for _, k := range read {
		all = append(all, k.client())
	}
	return checked(all)
}

func (k keycloak) client() Client {
	c := Client{ID: k.ID, Name: k.Name, Description: k.Description, Secret: k.Secret, Disabled: k.Enabled != nil && !*k.Enabled}
	if strings.Trim(c.Secret, "*") == "" {
		c.Secret = ""
	}
	if strings.HasPrefix(c.Name, "${") { // a name that Keycloak translates
		c.Name = ""
	}
	for _, scope := range slices.Concat(k.Scopes, k.Optional) {
		if !slices.Contains(standardScopes(), scope) && !slices.Contains(c.Scopes, scope) {
			c.Scopes = append(c.Scopes, scope)
		}
	}
	switch {
	case k.Public:
		c.Skipped = "it is public, and does not authenticate"
	case k.BearerOnly:
		c.Skipped = "it is an API and fetches no tokens: declare it with create resource"
	case !k.Accounts:
		c.Skipped = "it has no service account, so it does not use client_credentials"
	case k.Method != "" && k.Method != "client-secret":
		c.Skipped = "it authenticates by " + k.Method
	}
	return c
}

// readCSV reads a table with a line of headers.
func readCSV(from io.Reader) ([]Client, error) {
	text, err := io.ReadAll(from)
	if err != nil {
		return nil, fmt.Errorf("read the export: %w", err)
	}
	// Spreadsheets begin the file with a byte order mark, and many separate by semicolons.
	content := strings.TrimPrefix(string(text), "\ufeff")
	table := csv.NewReader(strings.NewReader(content))
	if headers, _, _ := strings.Cut(content, "\n"); !strings.Contains(headers, ",") && strings.Contains(headers, ";") {
		table.Comma = ';'
	}
	rows, err := table.ReadAll()
	if err != nil {
		return nil, fmt.Errorf("the export is no CSV: %w", err)
	}
	if len(rows) == 0 || !slices.Contains(rows[0], "client_id") {
		return nil, errors.New("the first line of the CSV names the columns: client_id, and as you have them name, description, scopes, contacts, secret")
	}
	var all []Client
	for _, row := range rows[1:] {
		c, err := ofRow(rows[0], row)
		if err != nil {
			return nil, err
		}
		all = append(all, c)
	}
	return checked(all)
}

// ofRow is the client of a row of a table.
func ofRow(columns, row []string) (c Client, err error) {
	for i, column := range columns {
		switch value := row[i]; column {
		case "client_id":
			c.ID = value
		case "name":
			c.Name = value
		case "description":
			c.Description = value
		case "scopes":
			c.Scopes = strings.Fields(value)
		case "contacts":
			c.Contacts = strings.Fields(value)
		case "secret":
			c.Secret = value
		default:
			return Client{}, fmt.Errorf("the CSV has a column %q; there are client_id, name, description, scopes, contacts and secret", column)
		}
	}
	return c, nil
}

// checked refuses an export without clients.
func checked(all []Client) ([]Client, error) {
	if len(all) == 0 {
		return nil, errors.New("there are no clients in the export")
	}
	for i, c := range all {
		if c.ID == "" {
			return nil, fmt.Errorf("client %d of the export has no client_id", i+1)
		}
	}
	return all, nil
}
