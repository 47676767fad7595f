// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/cmd/kubectl-hallpass/change"
	"github.com/hallpass-dev/hallpass/cmd/kubectl-hallpass/foreign"
)

const (
	// maxDocument bounds a client metadata document; the draft recommends 5 KiB.
	maxDocument     = 64 << 10
	documentTimeout = 20 * time.Second
)

// fetchMetadata fetches a client metadata document. It follows no redirect: the address is the
// client_id.
func fetchMetadata(ctx context.Context, transport http.RoundTripper, address string) (foreign.Metadata, error) {
	u, err := foreign.MetadataAddress(address)
	if err != nil {
		return foreign.Metadata{}, usagef("--from-metadata: %w", err)
	}
	client := http.Client{
		Transport: transport, Timeout: documentTimeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), http.NoBody)
	if err != nil {
		return foreign.Metadata{}, usagef("--from-metadata: %w", err)
	}
	request.Header.Set("Accept", "application/json")
	answer, err := client.Do(request)
	if err != nil {
		return foreign.Metadata{}, notFetchedMetadata(u, err)
	}
	defer func() { _ = answer.Body.Close() }()
	kind, _, _ := mime.ParseMediaType(answer.Header.Get("Content-Type"))
	switch {
	case answer.StatusCode != http.StatusOK:
		return foreign.Metadata{}, fmt.Errorf("fetch the client metadata: %s answers %s, and a client metadata document answers 200 without a redirect", address, answer.Status)
	case kind != "application/json" && (!strings.HasPrefix(kind, "application/") || !strings.HasSuffix(kind, "+json")):
		return foreign.Metadata{}, fmt.Errorf("fetch the client metadata: the Content-Type of %s is %q, and that of a client metadata document is application/json", address, kind)
	}
	document, err := io.ReadAll(io.LimitReader(answer.Body, maxDocument+1))
	switch {
	case err != nil:
		return foreign.Metadata{}, fmt.Errorf("fetch the client metadata: %w", err)
	case len(document) > maxDocument:
		return foreign.Metadata{}, fmt.Errorf("fetch the client metadata: what %s answers is larger than %d KiB", address, maxDocument>>10)
	}
	m, err := foreign.ReadMetadata(address, document)
	if err != nil {
		return foreign.Metadata{}, fmt.Errorf("the client metadata of %s: %w", address, err)
	}
	return m, nil
}

// notFetchedMetadata explains what to do about a document that was not fetched.
func notFetchedMetadata(u *url.URL, err error) error {
	if request, ok := errors.AsType[*url.Error](err); ok {
		err = request.Err // the address is in the sentence
	}
	if untrusted, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return fmt.Errorf("the certificate of %s is not trusted: %w. It is verified by the CAs of this machine", u.Host, untrusted.Err)
	}
	return fmt.Errorf("the client metadata at %s cannot be fetched: %w. Check the address, and whether this machine needs a proxy (HTTPS_PROXY)", u, err)
}

// fromMetadata takes the members of the document of a client for which no flag was given.
func (p createCommand) fromMetadata(n *change.NewClient, m foreign.Metadata, given func(flag string) bool) error {
	known, unknown := m.GrantTypes()
	if len(unknown) > 0 {
		p.say("Grant types that Hallpass does not have are left out: %s.", strings.Join(unknown, ", "))
	}
	n.ClientID = m.ID
	if !given("service-account") && !given("issuer") && !given("public") {
		n.Codes.Public = !m.Signs()
		if m.Signs() {
			n.Keys = string(m.Keys)
		}
	}
	if !given("display-name") {
		n.DisplayName = m.Name
	}
	if !given("contacts") {
		n.Contacts = m.Contacts
	}
	if !given("grant-type") {
		n.Codes.GrantTypes = known
	}
	code := slices.Contains(n.Codes.GrantTypes, string(v1alpha1.GrantAuthorizationCode))
	if !given("redirect-uri") && code {
		n.Codes.RedirectURIs = m.RedirectURIs
	}
	switch {
	case code && len(n.Codes.RedirectURIs) == 0:
		return fmt.Errorf("the client metadata of %s: it has no redirect_uris, to which people are sent back with a code. Give them with --redirect-uri, or other grant types with --grant-type", m.ID)
	case !code && n.Codes.Public:
		return fmt.Errorf("the client metadata of %s: its token_endpoint_auth_method is none, and without the grant type authorization_code nothing authenticates a request. "+
			"Give --service-account or --issuer, or --grant-type=AuthorizationCode", m.ID)
	}
	if m.Scope != "" && !given("scopes") && !given("access") {
		p.say("The scopes of the document are not taken, because it does not name their API: %s. Give them with --access or --scopes.", m.Scope)
	}
	with := ""
	if len(n.Codes.RedirectURIs) > 0 {
		with = " and its redirect URIs"
	}
	p.say("An OAuth2Policy has to list the clientID %s%s.", m.ID, with)
	return nil
}
