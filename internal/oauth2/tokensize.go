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

// longestHeader is the longest header of a token with the longest signatures, of RSA keys: a kid is
// a thumbprint.
const longestHeader = `{"alg":"RS256","kid":"0123456789012345678901234567890123456789012","typ":"` + TokenType + `"}`

// LargestToken returns the size of the largest token that the client can be issued, and its
// audience. Such a token has all scopes that are granted there.
func (i Issuer) LargestToken(client *Client, resources Resources) (size int, audience string) {
	own := Grant{Audience: i.NamespaceAudience(client.Namespace), Scopes: client.Scopes, Lifetime: client.TokenLifetime}
	size, audience = i.TokenSize(client, own), own.Audience
	for _, access := range client.Access {
		resource := resources.Resource(access.Resource)
		if resource == nil {
			continue
		}
		scopes := granted(client, resource, access.Scopes)
		if len(scopes) == 0 {
			continue
		}
		grant := Grant{Audience: resource.Identifier, Scopes: scopes, Lifetime: client.TokenLifetime}
		if n := i.TokenSize(client, grant); n > size {
			size, audience = n, grant.Audience
		}
	}
	return size, audience
}

// TokenSize returns the most that a token of a grant can take, in bytes: signed by the algorithm
// with the longest signatures, and made for an OAuth2Token.
func (i Issuer) TokenSize(client *Client, grant Grant) int {
	grant.TokenUID = cmp.Or(grant.TokenUID, DecoyUID)
	encoded := base64.RawURLEncoding.EncodedLen
	const late = 9_000_000_000 // ten digits, also at its end
	payload, err := i.claimsOf(client, grant, strings.Repeat("i", encoded(tokenIDBytes)), time.Unix(late, 0)).payload()
	if err != nil {
		return jws.MaxSize + 1 // no such token is issued
	}
	return encoded(len(longestHeader)) + len(".") + encoded(len(payload)) + len(".") + encoded(jws.MinRSABits/8)
}
