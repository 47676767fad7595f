// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package registration

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/hallpass-dev/hallpass/internal/oauth2"
	"github.com/hallpass-dev/hallpass/internal/wire"
)

// How the records of OAuth2Tokens are kept.
const (
	// TokenSecretType is the type of their Secrets.
	TokenSecretType = "hallpass.dev/token"

	tokenDataKey = "token.json"
)

// TokenSecretName is the name of the record of an OAuth2Token with that UID.
func TokenSecretName(uid string) string { return OpaqueSecretName(oauth2.OpaqueID(uid)) }

// OpaqueSecretName is the name of the record that an opaque token's id belongs to.
func OpaqueSecretName(opaqueID string) string { return "token-" + opaqueID }

// wireMinted is the stored form of the record of an OAuth2Token, under the same promise as that of
// a client.
type wireMinted struct {
	wire.Form `json:",inline"`

	Owner  wireOwner         `json:"owner"`
	Client wireMintedClient  `json:"client"`
	Opaque bool              `json:"opaque,omitempty"`
	Tokens []wireMintedToken `json:"tokens,omitempty"`
}

type wireMintedClient struct {
	ID   string `json:"id"`
	UID  string `json:"uid"`
	Name string `json:"name"`
}

type wireMintedToken struct {
	ID        string   `json:"id"`
	Digest    []byte   `json:"digest"`
	KeyID     string   `json:"kid,omitempty"`
	Audience  string   `json:"audience"`
	Scopes    []string `json:"scopes,omitempty"`
	IssuedAt  int64    `json:"issuedAt"`
	ExpiresAt int64    `json:"expiresAt"`
	Exclusive bool     `json:"alone,omitempty"`
	// A manager that ignores Cause writes no audit line about a token that another one has
	// made.
	Cause string `json:"cause,omitempty"`
}

// EncodeToken renders the record of an OAuth2Token as the data of its Secret. Equal records give
// equal bytes.
func EncodeToken(m oauth2.Minted) (map[string][]byte, error) {
	if err := checkMinted(m); err != nil {
		return nil, fmt.Errorf("encode the record of OAuth2Token %s/%s: %w", m.Namespace, m.Name, err)
	}
	w := wireMinted{
		Form: wire.Form{Version: firstVersion}, Owner: wireOwner{Namespace: m.Namespace, Name: m.Name, UID: m.UID},
		Client: wireMintedClient{ID: m.ClientID, UID: m.ClientUID, Name: m.ClientName}, Opaque: m.Opaque,
	}
	for _, t := range m.Tokens {
		w.Tokens = append(w.Tokens, wireMintedToken{
			ID: t.ID, Digest: t.Digest[:], KeyID: t.KeyID, Audience: t.Audience, Scopes: t.Scopes,
			IssuedAt: t.IssuedAt.Unix(), ExpiresAt: t.ExpiresAt.Unix(), Exclusive: t.Exclusive, Cause: t.Cause,
		})
	}
	document, err := json.Marshal(w)
	if err != nil {
		return nil, fmt.Errorf("encode the record of OAuth2Token %s/%s: %w", m.Namespace, m.Name, err)
	}
	return map[string][]byte{tokenDataKey: document}, nil
}

// DecodeToken reads the record of an OAuth2Token. What it cannot read whole and sound is
// ErrUnreadable.
func DecodeToken(data map[string][]byte) (oauth2.Minted, error) {
	var w wireMinted
	if err := read(data[tokenDataKey], &w, &w.Form); err != nil {
		return oauth2.Minted{}, err
	}
	m := oauth2.Minted{
		UID: w.Owner.UID, Namespace: w.Owner.Namespace, Name: w.Owner.Name,
		ClientID: w.Client.ID, ClientUID: w.Client.UID, ClientName: w.Client.Name, Opaque: w.Opaque,
	}
	for _, t := range w.Tokens {
		token := oauth2.MintedToken{
			ID: t.ID, KeyID: t.KeyID, Audience: t.Audience, Scopes: t.Scopes,
			IssuedAt: time.Unix(t.IssuedAt, 0).UTC(), ExpiresAt: time.Unix(t.ExpiresAt, 0).UTC(), Exclusive: t.Exclusive, Cause: t.Cause,
		}
		if copy(token.Digest[:], t.Digest) != len(t.Digest) || len(t.Digest) != len(token.Digest) {
			return oauth2.Minted{}, fmt.Errorf("%w: the digest of token %s has %d bytes", ErrUnreadable, t.ID, len(t.Digest))
		}
		m.Tokens = append(m.Tokens, token)
	}
	if err := checkMinted(m); err != nil {
		return oauth2.Minted{}, fmt.Errorf("%w: %w", ErrUnreadable, err)
	}
	return m, nil
}

func checkMinted(m oauth2.Minted) error {
	switch {
	case m.UID == "" || m.ClientUID == "":
		return errors.New("it has no owner or no client")
	case !oauth2.ValidClientID(m.ClientID):
		return errors.New("the client_id is empty or not printable ASCII")
	case len(m.Tokens) > oauth2.MaxMinted:
		return fmt.Errorf("%d tokens, at most %d", len(m.Tokens), oauth2.MaxMinted)
	}
	failures := []error{
		checkName(oauth2.ObjectName{Namespace: m.Namespace, Name: m.Name}),
		checkName(oauth2.ObjectName{Namespace: m.Namespace, Name: m.ClientName}),
	}
	for _, t := range m.Tokens {
		failures = append(failures, checkScopes(t.Scopes))
		if t.ID == "" || t.Audience == "" || t.Digest == (oauth2.Digest{}) || t.IssuedAt.Unix() <= 0 || !t.IssuedAt.Before(t.ExpiresAt) {
			failures = append(failures, errors.New("a token has no id, digest, audience or life"))
		}
	}
	return errors.Join(failures...)
}
