// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package answer

import (
	"fmt"
	"strings"

	"github.com/hallpass-dev/hallpass/internal/oauth2"
)

// WantsPage reports whether an Accept header is a browser's: those name text/html, programs do not.
func WantsPage(accept []string) bool {
	for _, value := range accept {
		for mediaRange := range strings.SplitSeq(value, ",") {
			mediaType, _, _ := strings.Cut(mediaRange, ";")
			if strings.EqualFold(strings.TrimSpace(mediaType), "text/html") {
				return true
			}
		}
	}
	return false
}

// noLogin is the page for a person whom a program sent to log in. It repeats nothing of the
// request.
//
//nolint:gochecknoglobals // a constant
var noLogin = document("There is no login here", `<p>A program sent you to this page to log in.
Hallpass issues access tokens to programs, and has no accounts for people.</p>
<p>You did nothing wrong, and you can close this page.
The operator of the program has to give it credentials of its own: a client of Hallpass with the grant type
<code>client_credentials</code>.</p>
`)

// NoLogin is the refusal of the authorization endpoint. It is no redirect, whatever the request
// names: no redirect URI is registered (RFC 6749 section 3.1.2.4). asPage means that a person reads
// it.
func NoLogin(err *oauth2.Error, asPage bool) Answer {
	if !asPage {
		return Refusal(err)
	}
	// The URL has a state and a code challenge, which no other site needs to learn. A page in a
	// frame could be taken for a page of the site around it.
	return page(statusOf(err), noLogin, Header{"Referrer-Policy", "no-referrer"}, Header{"X-Frame-Options", "DENY"})
}

// page is a refusal for a browser. It loads and runs nothing.
func page(status int, body []byte, further ...Header) Answer {
	further = append(further, Header{"Content-Security-Policy", "default-src 'none'"})
	return private(status, "text/html; charset=utf-8", body, further...)
}

// document is a page of a title and a body.
func document(title, body string) []byte {
	return fmt.Appendf(nil, "<!DOCTYPE html>\n<html lang=\"en\">\n<head><title>%s</title></head>\n<body>\n<h1>%s</h1>\n%s</body>\n</html>\n", title, title, body)
}
