// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

// Package population makes up an installation of any size for measurements: clients with their
// secrets and registrations, a signing key, tokens, and an API server that lists and watches them,
// so that the real token server can be measured with 100,000 clients without creating them. The
// test of cmd/tokenserver against a real API server is in test/e2e; the creation of as many clients
// on one is in test/bench/scale.
package population

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/hallpass-dev/hallpass/internal/jws"
	"github.com/hallpass-dev/hallpass/internal/keyring"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
	"github.com/hallpass-dev/hallpass/internal/registration"
)

// perNamespace is how many clients share a namespace.
const perNamespace = 10

// Population is the clients of an installation and its signing keys.
type Population struct {
	Issuer  oauth2.Issuer
	Ring    keyring.Ring
	Clients []Client
	// Machines are further clients; nil unless AddMachines was called.
	Machines *Machines
	// People are further clients; nil unless AddPeople was called.
	People *People
}

// Client is one of them.
type Client struct {
	ID, UID, Namespace, Name string
	Secret                   oauth2.Secret

	namespace int
	verifiers []oauth2.Verifier
	// federated is set for a job, and exchanges for a gateway.
	federated *oauth2.Federated
	exchanges bool
	// codes is set for a portal.
	codes *oauth2.Codes
}

// newClient is a client by its number and that of its namespace.
func newClient(namespace, number int, kind string) Client {
	c := Client{Namespace: fmt.Sprintf("team-%d", namespace), Name: fmt.Sprintf("%s-%d", kind, number), namespace: namespace}
	c.ID = c.Namespace + "." + c.Name
	c.UID = fmt.Sprintf("%08x-aaaa-4bbb-8ccc-%02x%010x", number, kind[0], number)
	return c
}

// addSecret gives a client a secret.
func (c *Client) addSecret(now time.Time) error {
	credential, err := oauth2.NewClientSecret(rand.Reader)
	if err != nil {
		return err
	}
	c.Secret = credential.Value
	c.verifiers = []oauth2.Verifier{{ID: credential.ID, Digest: oauth2.DigestSecret(c.UID, c.Secret), CreatedAt: now.UTC().Truncate(time.Second)}}
	return nil
}

// New makes up as many clients and a key of that algorithm that signs.
func New(issuer oauth2.Issuer, clients int, algorithm jws.Algorithm, now time.Time) (*Population, error) {
	policy := keyring.DefaultPolicy(oauth2.MaxTokenLifetime)
	policy.Algorithms = []jws.Algorithm{algorithm}
	rotated, err := keyring.Rotate(keyring.Ring{}, keyring.At(now), policy, keyring.Order{}, keyring.Generate)
	if err != nil {
		return nil, err
	}
	p := &Population{Issuer: issuer, Ring: rotated.Ring, Clients: make([]Client, clients)}
	for i := range p.Clients {
		p.Clients[i] = newClient(i/perNamespace, i, "service")
		if err := p.Clients[i].addSecret(now); err != nil {
			return nil, err
		}
	}
	return p, nil
}

// scopes are those of each client and of the API.
func scopes() []string { return []string{"read", "write"} }

// Registration is what the manager would compile for a client.
func (c Client) Registration() registration.Registration {
	registered := oauth2.Client{
		ID: c.ID, UID: c.UID, Namespace: c.Namespace, Name: c.Name,
		Credentials: oauth2.Credentials{Verifiers: c.verifiers, Federated: c.federated}, Scopes: scopes(),
		Tokens: oauth2.TokenForm{Lifetime: oauth2.DefaultTokenLifetime},
	}
	if c.exchanges {
		registered.GrantTypes = oauth2.ClientCredentials | oauth2.TokenExchange
		registered.Access = []oauth2.Access{{Resource: apiName, Scopes: scopes()}}
	}
	if c.codes != nil {
		registered.GrantTypes, registered.Codes, registered.DefaultResource = oauth2.AuthorizationCode, c.codes, officeName
		registered.Access = []oauth2.Access{{Resource: officeName, Scopes: scopes()}}
	}
	return registration.Registration{Client: registered}
}

// Payload is the payload of a token that the token server would issue to the client.
func (p *Population) Payload(c Client, now time.Time) ([]byte, error) {
	at := now.Unix()
	return json.Marshal(struct {
		Issuer    string `json:"iss"`
		Subject   string `json:"sub"`
		Audience  string `json:"aud"`
		ClientID  string `json:"client_id"`
		ClientUID string `json:"client_uid"`
		Scope     string `json:"scope"`
		ID        string `json:"jti"`
		IssuedAt  int64  `json:"iat"`
		ExpiresAt int64  `json:"exp"`
	}{
		p.Issuer.String(), c.ID, p.Issuer.NamespaceAudience(c.Namespace), c.ID, c.UID, "read write", rand.Text()[:21] + "A",
		at, at + int64(oauth2.DefaultTokenLifetime/time.Second),
	})
}

// Token is a token of the client that no server has seen.
func (p *Population) Token(c Client, now time.Time) (string, error) {
	key, err := p.Ring.SigningKey(now)
	if err != nil {
		return "", err
	}
	payload, err := p.Payload(c, now)
	if err != nil {
		return "", err
	}
	return key.Sign(oauth2.TokenType, payload)
}

// Forge is a token that bears the signature of another one.
func (p *Population) Forge(c Client, now time.Time) (string, error) {
	token, err := p.Token(c, now)
	if err != nil {
		return "", err
	}
	other, err := p.Token(c, now)
	if err != nil {
		return "", err
	}
	return token[:strings.LastIndexByte(token, '.')] + other[strings.LastIndexByte(other, '.'):], nil
}
