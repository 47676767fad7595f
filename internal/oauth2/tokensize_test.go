// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package oauth2_test

import (
	"crypto/rand"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/hallpass-dev/hallpass/internal/jws"
	"github.com/hallpass-dev/hallpass/internal/keyring"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
)

// longScopes are different scopes of 128 letters.
func longScopes(n int) []string {
	var scopes []string
	for i := range n {
		scopes = append(scopes, fmt.Sprintf("%0128d", i))
	}
	return scopes
}

// What is found to fit is issued, whatever the key of the installation is, and read again.
func TestATokenThatFitsIsIssuedAndRead(t *testing.T) {
	client := shop()
	client.Tokens.Claims = []oauth2.Claim{{Name: "https://example.com/tier", Values: []string{"gold", strings.Repeat("<", 100)}}}
	at := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	for _, algorithm := range []jws.Algorithm{jws.ES256, jws.RS256, jws.EdDSA} {
		t.Run(string(algorithm), func(t *testing.T) {
			policy := keyring.DefaultPolicy(oauth2.MaxTokenLifetime)
			policy.Algorithms = []jws.Algorithm{algorithm}
			rotation, err := keyring.Rotate(keyring.Ring{}, keyring.At(at), policy, keyring.Order{}, keyring.Generate)
			if err != nil {
				t.Fatal(err)
			}
			ring := rotation.Ring
			key, err := oauth2.SigningKey(client, ring, at)
			if err != nil {
				t.Fatal(err)
			}
			issued := 0
			for n := 0; n <= 64; n += 4 {
				client.Scopes = longScopes(n)
				size, audience := issuer(t).LargestToken(client, declared{})
				grant := oauth2.Grant{Audience: audience, Scopes: client.Scopes, Lifetime: time.Hour, TokenUID: "00000000-0000-0000-0000-000000000000"}
				token, err := issuer(t).Issue(client, grant, key, at, rand.Reader)
				if size > oauth2.MaxBearer {
					continue
				}
				if issued++; err != nil {
					t.Fatalf("%d scopes: %v", n, err)
				}
				value := token.Value.Reveal()
				if len(value) > size || algorithm == jws.RS256 && len(value) < size {
					t.Errorf("%d scopes: %d bytes, expected %d", n, len(value), size)
				}
				if _, err := oauth2.ParseBearer([]string{"Bearer " + value}); err != nil {
					t.Errorf("%d scopes: %v", n, err)
				}
				if _, err := issuer(t).Validate(value, ring, at); err != nil {
					t.Errorf("%d scopes: %v", n, err)
				}
			}
			if issued < 9 || issued > 11 {
				t.Errorf("%d sizes fit; does this test still reach the limit?", issued)
			}
		})
	}
}

func TestTheLargestTokenHasOnlyWhatIsGranted(t *testing.T) {
	client := shop()
	name := oauth2.ObjectName{Namespace: "orders", Name: "api"}
	client.Scopes = longScopes(2)
	client.Access = []oauth2.Access{{Resource: name, Scopes: longScopes(64)}, {Resource: oauth2.ObjectName{Namespace: "orders", Name: "none"}, Scopes: longScopes(64)}}
	resource := &oauth2.Resource{Identifier: "https://api.test", Namespace: name.Namespace, Name: name.Name, Scopes: longScopes(64)}
	for granted, want := range map[int]string{0: "https://hallpass.test/ns/shop", 1: "https://hallpass.test/ns/shop", 3: "https://api.test", 64: "https://api.test"} {
		resource.Consents = []oauth2.Consent{{Namespaces: []string{"shop"}, Scopes: longScopes(granted)}}
		size, audience := issuer(t).LargestToken(client, declared{resource})
		if audience != want || (size > oauth2.MaxBearer) != (granted == 64) {
			t.Errorf("%d scopes are granted: %d bytes for %s", granted, size, audience)
		}
	}
}

// A token of a person has another subject, and its scopes are those of another consent.
func TestTheLargestTokenMayActForAnother(t *testing.T) {
	name := oauth2.ObjectName{Namespace: "orders", Name: "api"}
	resource := &oauth2.Resource{Identifier: "https://api.test", Namespace: name.Namespace, Name: name.Name, Scopes: longScopes(64)}
	to := []oauth2.Consent{{Namespaces: []string{"shop"}, Scopes: longScopes(30)}}
	at := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	ring := ring(t)
	key, err := ring.SigningKey(at)
	if err != nil {
		t.Fatal(err)
	}
	person, err := oauth2.NewPerson(strings.Repeat("i", 63), strings.Repeat("s", 255))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name    string
		consent *[]oauth2.Consent
		types   oauth2.GrantTypes
		request oauth2.TokenRequest
	}{
		{"itself", &resource.Consents, oauth2.ClientCredentials, oauth2.TokenRequest{}},
		{"a person", &resource.Users, oauth2.JWTBearer, oauth2.TokenRequest{Person: person}},
		{"a subject", &resource.Exchanged, oauth2.TokenExchange, oauth2.TokenRequest{For: passedOnce("shop.edge", at)}},
		{"a person of another client", &resource.ExchangedUsers, oauth2.TokenExchange, oauth2.TokenRequest{For: passedOnce(person.String(), at)}},
	} {
		t.Run(c.name, func(t *testing.T) {
			client := shop()
			client.Access, client.GrantTypes, client.Tokens.Lifetime = []oauth2.Access{{Resource: name, Scopes: longScopes(64)}}, c.types, time.Hour
			none, _ := issuer(t).LargestToken(client, declared{resource})
			*c.consent = to
			defer func() { *c.consent = nil }()
			size, audience := issuer(t).LargestToken(client, declared{resource})
			c.request.Resource = "https://api.test"
			grant, err := issuer(t).Grant(client, c.request, declared{resource})
			if err != nil {
				t.Fatal(err)
			}
			token, err := issuer(t).Issue(client, grant, key, at, rand.Reader)
			if err != nil {
				t.Fatal(err)
			}
			if n := len(token.Value.Reveal()); audience != "https://api.test" || size <= none || size < n || size > n+1200 {
				t.Errorf("%d bytes for %s, and %d without the consent; the token has %d", size, audience, none, n)
			}
			client.GrantTypes = oauth2.ClientCredentials
			if size, _ := issuer(t).LargestToken(client, declared{resource}); c.types != oauth2.ClientCredentials && size != none {
				t.Errorf("%d bytes for a client that cannot act so", size)
			}
		})
	}
}

func passedOnce(subject string, at time.Time) *oauth2.Chain {
	return &oauth2.Chain{
		Subject: subject, Audience: "https://edge.test", Until: at.Add(time.Hour),
		Ancestors: []oauth2.Ancestor{{ID: strings.Repeat("i", 22), ClientID: "shop.edge", ClientUID: oauth2.DecoyUID, KeyID: strings.Repeat("k", 43), IssuedAt: at}},
	}
}
