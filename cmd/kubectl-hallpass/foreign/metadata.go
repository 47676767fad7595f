// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package foreign

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
	"github.com/hallpass-dev/hallpass/internal/strictjson"
)

// Metadata are those of a client in a document of its own (RFC 7591 section 2), whose address is
// the client_id.
type Metadata struct {
	ID           string   `json:"client_id"`
	Name         string   `json:"client_name"`
	Contacts     []string `json:"contacts"`
	RedirectURIs []string `json:"redirect_uris"`
	// Scope are the scopes that the client asks for, of whichever API.
	Scope string `json:"scope"`
	// Method is how the client authenticates: none or private_key_jwt.
	Method string `json:"token_endpoint_auth_method"`
	// Grants are the grant types; none stand for authorization_code.
	Grants []string `json:"grant_types"`
	// Keys are the JWK set of a client that signs.
	Keys    json.RawMessage `json:"jwks"`
	KeysURI string          `json:"jwks_uri"`
	// Secret is refused, whatever it is: everybody can read the document.
	Secret json.RawMessage `json:"client_secret"`
}

// MetadataAddress checks the address of a client metadata document
// (draft-ietf-oauth-client-id-metadata-document section 3). Its client_id is compared letter by
// letter, so that there must be one way to write it.
func MetadataAddress(address string) (*url.URL, error) {
	u, err := url.Parse(address)
	switch {
	case err != nil || u.Scheme != "https" || u.Host == "":
		return nil, fmt.Errorf("%q is no https URL", address)
	case u.User != nil || strings.Contains(address, "#"):
		return nil, fmt.Errorf("%q has a user or a fragment, which the address of a client metadata document must not have", u.Redacted())
	case u.Path == "" || u.Path == "/":
		return nil, fmt.Errorf("%q has no path, which the address of a client metadata document must have, such as https://app.example.com/client.json", address)
	}
	for segment := range strings.SplitSeq(u.Path, "/") {
		if segment == "." || segment == ".." {
			return nil, fmt.Errorf("%q has %q in its path, and there must be one way to write the address", address, segment)
		}
	}
	return u, nil
}

// ReadMetadata reads the document at an address.
func ReadMetadata(address string, document []byte) (Metadata, error) {
	var m Metadata
	if _, err := strictjson.ParseObject(string(document)); err != nil {
		return Metadata{}, fmt.Errorf("the document is no client metadata: %w", err)
	}
	if err := json.Unmarshal(document, &m); err != nil {
		return Metadata{}, fmt.Errorf("the document is no client metadata (RFC 7591): %w", err)
	}
	// JSON null stands for a member that is not there.
	for _, member := range []*json.RawMessage{&m.Keys, &m.Secret} {
		if string(*member) == "null" {
			*member = nil
		}
	}
	m.Name, m.Contacts, m.RedirectURIs = cut(m.Name, maxDisplayName), once(m.Contacts), once(m.RedirectURIs)
	m.Contacts = m.Contacts[:min(len(m.Contacts), maxContacts)]
	return m, m.check(address)
}

// once are texts without those that came before.
func once(texts []string) (all []string) {
	for _, text := range texts {
		if !slices.Contains(all, text) {
			all = append(all, text)
		}
	}
	return all
}

// Signs reports whether the client authenticates by a key of its own.
func (m Metadata) Signs() bool { return m.Method == "private_key_jwt" }

func (m Metadata) check(address string) error {
	signs := m.Signs()
	known, unknown := m.GrantTypes()
	switch {
	case m.ID != address:
		return fmt.Errorf("its client_id is %q, and has to be the address of the document, letter by letter", m.ID)
	case m.Secret != nil:
		return errors.New("it has a client_secret, which everybody could read")
	case m.Method == "":
		return errors.New("it does not name how the client authenticates: token_endpoint_auth_method is none or private_key_jwt")
	case m.Method != "none" && !signs:
		return fmt.Errorf("its token_endpoint_auth_method is %q: a client with a document authenticates by none or private_key_jwt", m.Method)
	case signs && m.KeysURI != "":
		return errors.New("its keys are at a jwks_uri, from which Hallpass fetches nothing: the document has to have them as jwks")
	case signs && m.Keys == nil:
		return errors.New("its token_endpoint_auth_method is private_key_jwt, and it has no jwks")
	case len(known) == 0 && len(unknown) > 0:
		return fmt.Errorf("none of its grant_types is one of Hallpass: %s", strings.Join(unknown, ", "))
	}
	return nil
}

// grantTypes are those of an OAuth2Client. refresh_token is none of its own: spec.refreshTokens
// decides whether there are any.
func grantTypes() map[string]v1alpha1.GrantType {
	return map[string]v1alpha1.GrantType{
		oauth2.GrantAuthorizationCode: v1alpha1.GrantAuthorizationCode, oauth2.GrantClientCredentials: v1alpha1.GrantClientCredentials,
		oauth2.GrantJWTBearer: v1alpha1.GrantJWTBearer, oauth2.GrantTokenExchange: v1alpha1.GrantTokenExchange, oauth2.GrantRefreshToken: "",
	}
}

// GrantTypes are the grant types as an OAuth2Client has them, and those that Hallpass does not
// have.
func (m Metadata) GrantTypes() (known, unknown []string) {
	if len(m.Grants) == 0 {
		return []string{string(v1alpha1.GrantAuthorizationCode)}, nil
	}
	for _, grant := range m.Grants {
		switch name, ok := grantTypes()[grant]; {
		case !ok:
			unknown = append(unknown, grant)
		case name != "" && !slices.Contains(known, string(name)):
			known = append(known, string(name))
		}
	}
	return known, unknown
}
