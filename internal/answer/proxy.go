// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package answer

import (
	"errors"
	"fmt"
	"html"
	"net/http"
	"strconv"
	"strings"

	"github.com/hallpass-dev/hallpass/internal/oauth2"
)

// maxPageRequirement is how much of a requirement a page shows: a whole answer is below 4 KiB.
const maxPageRequirement = 1 << 10

// Challenge is what a refused client has to present: RFC 6750 section 3.
type Challenge struct {
	Required oauth2.Requirement
	// Metadata is the URL of the metadata of the resource that is protected, if it is a
	// declared one.
	Metadata string
	// Page means that a human reads a refusal.
	Page bool
}

// Refusal is the answer to an error. It is 401 for every refusal that another token or another
// request may mend: RFC 6750 section 3.1 has 400 for malformed requests, but proxies know only 401
// and 403.
func (c Challenge) Refusal(err error) Answer {
	refusal, ok := errors.AsType[*oauth2.Error](err)
	if !ok {
		return Refusal(err)
	}
	status, header := statusOf(refusal), retryAfter(refusal)
	if status == http.StatusBadRequest {
		status = http.StatusUnauthorized
	}
	if status == http.StatusUnauthorized || status == http.StatusForbidden {
		header = append(header, Header{"Www-Authenticate", c.authenticate(refusal)})
	}
	if c.Page {
		return page(status, c.html(status, refusal.Description), header...)
	}
	return private(status, JSON, errorBody(refusal), header...)
}

// authenticate is the WWW-Authenticate header. A request without a token gets no error (section
// 3.1). The requirement and the descriptions hold no character that needs quoting.
func (c Challenge) authenticate(refusal *oauth2.Error) string {
	challenge := `Bearer realm="hallpass"`
	if len(c.Required.Scopes) > 0 {
		challenge += fmt.Sprintf(`, scope="%s"`, strings.Join(c.Required.Scopes, " "))
	}
	if c.Metadata != "" {
		// RFC 9728 section 5.1
		challenge += fmt.Sprintf(`, resource_metadata="%s"`, c.Metadata)
	}
	if refusal.Reason != oauth2.ReasonNoCredentials {
		challenge += fmt.Sprintf(`, error="%s", error_description="%s"`, refusal.Code, refusal.Description)
	}
	return challenge
}

// html is the refusal as a page for a human who came by a browser.
func (c Challenge) html(status int, description string) []byte {
	var body strings.Builder
	fmt.Fprintf(&body, "<p>Refused: %s.</p>\n", html.EscapeString(description))
	audience, scopes := html.EscapeString(c.Required.Audience), html.EscapeString(strings.Join(c.Required.Scopes, " "))
	if audience != "" && len(audience)+len(scopes) < maxPageRequirement {
		fmt.Fprintf(&body, "<p>What is needed: the header <code>Authorization: Bearer TOKEN</code> with a token for <code>%s</code>", audience)
		if scopes != "" {
			fmt.Fprintf(&body, " and the scopes <code>%s</code>", scopes)
		}
		body.WriteString(".</p>\n")
	}
	return document(fmt.Sprintf("%d %s", status, http.StatusText(status)), body.String())
}

// IdentityHeaders name the caller to an upstream. All of them are in every answer that admits a
// request, also empty ones, so that a proxy overwrites whatever the caller sent under these names.
var IdentityHeaders = [...]string{
	"X-Auth-Client-Id", "X-Auth-Client-Uid", "X-Auth-Client-Namespace", "X-Auth-Scopes", "X-Auth-Audience", "X-Auth-Expires",
	"X-Auth-Subject", "X-Auth-Subject-Type", "X-Auth-User",
}

// maxIdentity bounds the identity headers, so that a whole answer is below 4 KiB, which every proxy
// has room for.
const maxIdentity = 3 << 10

// Identity is the values of the identity headers.
type Identity [len(IdentityHeaders)]string

// IdentityOf are the identity headers of the client that a token was issued to, and of the subject
// that the token acts for, which is another client if the token was exchanged. X-Auth-User is the
// subject if that is a person, and else empty. It refuses a token of which the headers would be too
// long, or hold something else than printable ASCII, which some proxies change.
func IdentityOf(claims *oauth2.Claims, namespace string) (Identity, error) {
	i := Identity{
		claims.ClientID, claims.ClientUID, namespace,
		strings.Join(claims.Scopes, " "), claims.Audience, strconv.FormatInt(claims.ExpiresAt.Unix(), 10),
		claims.Subject, claims.SubjectType(), claims.Person().String(),
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
			"the claims of the access token do not fit into headers; ask for fewer scopes")
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
