// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package show

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
)

const mask = "••••••••"

// Entry is an entry of the Secret or ConfigMap of a client.
type Entry struct {
	Name string
	// Text is the value, or what may be shown of it.
	Text string
	// Masked is whether Text is not the value.
	Masked bool
}

// Entries are the entries of the Secret of a client, sorted by name. Unless reveal is true only
// those are shown whose content is known to be no secret: what Hallpass writes beside the client
// secret. An entry of another name, such as one of a template, may have the client secret in it.
func Entries(c *v1alpha1.OAuth2Client, data map[string][]byte, reveal bool) []Entry {
	public := publicEntries(c)
	secret := string(data[SecretEntry(c)])
	entries := make([]Entry, 0, len(data))
	for _, name := range slices.Sorted(maps.Keys(data)) {
		value := string(data[name])
		switch {
		case reveal:
			entries = append(entries, Entry{Name: name, Text: value})
		case !public[name] || secret != "" && strings.Contains(value, secret):
			entries = append(entries, Entry{name, Mask(value), true})
		default:
			entries = append(entries, Entry{Name: name, Text: value})
		}
	}
	return entries
}

// Mask is what may be shown of a secret: its id, which audit lines name, and its length.
func Mask(value string) string {
	shown := mask
	if credential, err := oauth2.ParseClientSecret(oauth2.NewSecret(value)); err == nil {
		shown = oauth2.ClientSecretPrefix + credential.ID + "_" + mask
	}
	return fmt.Sprintf("%s (%d characters)", shown, utf8.RuneCountInString(value))
}

// SecretEntry is the name of the entry with the client secret.
func SecretEntry(c *v1alpha1.OAuth2Client) string {
	return named(c.Spec.Secret.Keys.ClientSecret, "client_secret")
}

// IDEntry is the name of the entry with the client_id.
func IDEntry(c *v1alpha1.OAuth2Client) string { return named(c.Spec.Secret.Keys.ClientID, "client_id") }

// TokenURLEntry is the name of the entry with the URL of the token endpoint.
func TokenURLEntry(c *v1alpha1.OAuth2Client) string {
	return named(c.Spec.Secret.Keys.TokenURL, "token_url")
}

// IssuerEntry is the name of the entry with the issuer.
func IssuerEntry(c *v1alpha1.OAuth2Client) string {
	return named(c.Spec.Secret.Keys.IssuerURL, "issuer_url")
}

// CAEntry is the name of the entry with the CA certificate.
func CAEntry(c *v1alpha1.OAuth2Client) string {
	return named(c.Spec.Secret.Keys.CACertificate, "ca.crt")
}

func named(renamed v1alpha1.SecretKey, otherwise string) string {
	if renamed != "" {
		return string(renamed)
	}
	return otherwise
}

// publicEntries are the entries without a secret. An entry that a key renames to such a name is
// none of them.
func publicEntries(c *v1alpha1.OAuth2Client) map[string]bool {
	keys := c.Spec.Secret.Keys
	public := map[string]bool{
		IDEntry(c): true, TokenURLEntry(c): true, IssuerEntry(c): true, CAEntry(c): true,
		named(keys.JWKSURL, "jwks_url"): true, named(keys.IntrospectionURL, "introspection_url"): true, named(keys.Scope, "scope"): true,
		named(keys.Resource, "resource"): true, named(keys.InternalTokenURL, "internal_token_url"): true,
		named(keys.AuthorizationURL, "authorization_url"): true,
	}
	delete(public, SecretEntry(c))
	for name := range c.Spec.Secret.Template {
		delete(public, name)
	}
	return public
}

// TokenEntry is the name of the entry with the token in the Secret of an OAuth2Token.
func TokenEntry(t *v1alpha1.OAuth2Token) string { return named(t.Spec.Secret.Keys.Token, "token") }
