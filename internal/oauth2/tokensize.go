// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package oauth2

import (
	"cmp"
	"encoding/base64"
	"strings"
	"time"

	"github.com/hallpass-dev/hallpass/internal/jws"
)

// MaxBearer is the size of the longest token that fits into an Authorization header of 8 KiB, which
// is what proxies accept by default.
const MaxBearer = jws.MaxSize - len("Authorization: Bearer \r\n")

const (
	// longestHeader is the longest header of a token with the longest signatures, of RSA keys:
	// a kid is a thumbprint.
	longestHeader  = `{"alg":"RS256","kid":"` + longestKeyID + `","typ":"` + TokenType + `"}`
	longestKeyID   = "0123456789012345678901234567890123456789012"
	longestTokenID = "0123456789012345678901" // 16 bytes in base64url
)

// lateInstant has ten digits, also at the end of a token that is issued then.
var lateInstant = time.Unix(9_000_000_000, 0) //nolint:gochecknoglobals // a constant

// LargestToken returns the size of the largest token that the client can be issued, and its
// audience. Such a token has all scopes that are granted there, to the client itself or when it
// acts for others. An exchanged token that was passed on before has more ancestors, and is larger.
func (i Issuer) LargestToken(client *Client, resources Resources) (size int, audience string) {
	own := Grant{Audience: i.NamespaceAudience(client.Namespace), Scopes: client.Scopes, Lifetime: client.Tokens.Lifetime}
	size, audience = i.TokenSize(client, own), own.Audience
	for _, access := range client.Access {
		resource := resources.Resource(access.Resource)
		if resource == nil {
			continue
		}
		for _, acting := range append(client.GrantTypes.Actings(), 0) {
			grant := largestFor(acting)
			grant.Audience, grant.Lifetime = resource.Identifier, client.Tokens.Lifetime
			if grant.Scopes = resource.granted(client, acting, access.Scopes); len(grant.Scopes) == 0 {
				continue
			}
			if n := i.TokenSize(client, grant); n > size {
				size, audience = n, grant.Audience
			}
		}
	}
	return size, audience
}

// largestFor is what a token has with which a client acts for the subject with the longest sub. An
// exchanged one has one ancestor.
func largestFor(acting Acting) (g Grant) {
	person := Person{strings.Repeat("i", maxIssuerLength), strings.Repeat("s", MaxPersonSubject)}
	if acting&ForExchanged == 0 {
		if acting&ForUser != 0 {
			g.Person, g.GrantID = person, longestTokenID
		}
		return g
	}
	first := Ancestor{
		ID: longestTokenID, ClientID: strings.Repeat("c", maxClientIDLength), ClientUID: DecoyUID, KeyID: longestKeyID, IssuedAt: lateInstant,
	}
	g.For = &Chain{Subject: first.ClientID, Ancestors: []Ancestor{first}, Until: lateInstant.Add(MaxTokenLifetime)}
	if acting&ForUser != 0 {
		g.For.Subject, g.For.GrantID = person.String(), longestTokenID
	}
	return g
}

// TokenSize returns the most that a token of a grant can take, in bytes: signed by the algorithm
// with the longest signatures, and made for an OAuth2Token if the client acts for itself.
func (i Issuer) TokenSize(client *Client, grant Grant) int {
	if grant.For == nil && grant.Person.IsZero() {
		grant.TokenUID = cmp.Or(grant.TokenUID, DecoyUID)
	}
	encoded := base64.RawURLEncoding.EncodedLen
	payload, err := i.claimsOf(client, grant, longestTokenID, lateInstant).payload()
	if err != nil {
		return jws.MaxSize + 1 // no such token is issued
	}
	return encoded(len(longestHeader)) + len(".") + encoded(len(payload)) + len(".") + encoded(jws.MinRSABits/8)
}
