// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package answer

import (
	"net/http"
	"strconv"
	"strings"

	"github.com/hallpass-dev/hallpass/internal/oauth2"
)

// IdentityHeaders tell an upstream who calls. All of them are in every answer that admits a request, also
// empty ones, so that a proxy overwrites whatever the caller sent under these names.
var IdentityHeaders = [...]string{ //nolint:gochecknoglobals // a constant list
	"X-Auth-Client-Id", "X-Auth-Client-Uid", "X-Auth-Client-Namespace", "X-Auth-Scopes", "X-Auth-Audience", "X-Auth-Expires",
}

// maxIdentity bounds the identity headers, so that a whole answer is below 4 KiB, which every proxy has
// room for.
const maxIdentity = 3 << 10

// Identity is the values of the identity headers.
type Identity [len(IdentityHeaders)]string

// IdentityOf is what an upstream is told of the client that a token was issued to. It refuses a token of
// which the headers would be too long, or hold something else than printable ASCII, which some proxies
// change.
func IdentityOf(claims oauth2.Claims, namespace string) (Identity, error) {
	i := Identity{
		claims.ClientID, claims.ClientUID, namespace,
		strings.Join(claims.Scopes, " "), claims.Audience, strconv.FormatInt(claims.ExpiresAt.Unix(), 10),
	}
	size, printable := 0, true
	for n, name := range IdentityHeaders {
		size += len(name) + len(i[n]) + len(": \r\n")
		for j := range len(i[n]) {
			printable = printable && i[n][j] >= 0x20 && i[n][j] <= 0x7e
		}
	}
	if size > maxIdentity || !printable {
		return Identity{}, oauth2.Refuse(oauth2.InvalidToken, oauth2.ReasonIdentityTooLarge,
			"the access token says more than fits into headers; ask for fewer scopes")
	}
	return i, nil
}

// Answer is the answer that admits a request.
func (i *Identity) Answer() Answer {
	var header [len(IdentityHeaders)]Header
	for n, name := range IdentityHeaders {
		header[n] = Header{name, i[n]}
	}
	return private(http.StatusOK, "", nil, header[:]...)
}
