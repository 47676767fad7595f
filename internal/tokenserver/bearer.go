// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package tokenserver

import (
	"fmt"
	"html"
	"net/http"
	"strings"

	"github.com/hallpass-dev/hallpass/internal/oauth2"
)

// maxPageRequirement is how much of a requirement a page shows: a whole answer is below 4 KiB.
const maxPageRequirement = 1 << 10

// bearerError is the refusal of a request to a protected resource: RFC 6750 section 3.
type bearerError struct {
	required oauth2.Requirement
	// metadata is the URL of the metadata of the resource that is protected, if it is a declared one.
	metadata string
	page     bool
	refusal  *oauth2.Error
}

func (e *bearerError) Error() string { return e.refusal.Error() }

func (e *bearerError) Unwrap() error { return e.refusal }

// status is 401 for every refusal that another token or another request may mend: RFC 6750 section 3.1 has 400 for malformed
// requests, but proxies know only 401 and 403 as refusals.
func (e *bearerError) status() int {
	if status := statusOf(e.refusal.Code); status != http.StatusBadRequest {
		return status
	}
	return http.StatusUnauthorized
}

// challenge is the WWW-Authenticate header of RFC 6750 section 3. A request without a token is told no error (section 3.1). The
// requirement and the descriptions hold no character that needs quoting.
func (e *bearerError) challenge(header http.Header) {
	status := e.status()
	if status != http.StatusUnauthorized && status != http.StatusForbidden {
		return
	}
	challenge := `Bearer realm="hallpass"`
	if len(e.required.Scopes) > 0 {
		challenge += fmt.Sprintf(`, scope="%s"`, strings.Join(e.required.Scopes, " "))
	}
	if e.metadata != "" {
		challenge += fmt.Sprintf(`, resource_metadata="%s"`, e.metadata) // RFC 9728 section 5.1
	}
	if e.refusal.Reason != oauth2.ReasonNoCredentials {
		challenge += fmt.Sprintf(`, error="%s", error_description="%s"`, e.refusal.Code, e.refusal.Description)
	}
	header.Set("WWW-Authenticate", challenge)
}

// html is the refusal as a page for a human who came by a browser.
func (e *bearerError) html(header http.Header) []byte {
	header.Set("Content-Type", "text/html; charset=utf-8")
	header.Set("Content-Security-Policy", "default-src 'none'")
	var page strings.Builder
	status := e.status()
	title := fmt.Sprintf("%d %s", status, http.StatusText(status))
	fmt.Fprintf(&page, "<!DOCTYPE html>\n<html lang=\"en\">\n<head><title>%s</title></head>\n<body>\n<h1>%s</h1>\n<p>Refused: %s.</p>\n",
		title, title, html.EscapeString(e.refusal.Description))
	audience, scopes := html.EscapeString(e.required.Audience), html.EscapeString(strings.Join(e.required.Scopes, " "))
	if audience != "" && len(audience)+len(scopes) < maxPageRequirement {
		fmt.Fprintf(&page, "<p>What is needed: the header <code>Authorization: Bearer TOKEN</code> with a token for <code>%s</code>", audience)
		if scopes != "" {
			fmt.Fprintf(&page, " and the scopes <code>%s</code>", scopes)
		}
		page.WriteString(".</p>\n")
	}
	page.WriteString("</body>\n</html>\n")
	return []byte(page.String())
}
