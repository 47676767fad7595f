// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"context"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strings"
	"time"

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
		return foreign.Metadata{}, fmt.Errorf("fetch the client metadata: %w", err)
	}
	defer func() { _ = answer.Body.Close() }()
	kind, _, _ := mime.ParseMediaType(answer.Header.Get("Content-Type"))
	switch {
	case answer.StatusCode != http.StatusOK:
		return foreign.Metadata{}, fmt.Errorf("fetch the client metadata: %s answers %s, and a client metadata document answers 200 without a redirect", address, answer.Status)
	case kind != "application/json" && (!strings.HasPrefix(kind, "application/") || !strings.HasSuffix(kind, "+json")):
		return foreign.Metadata{}, fmt.Errorf("fetch the client metadata: what %s answers is %q and no JSON", address, kind)
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

// fromMetadata takes the members of the document of a client for which there was no flag.
func (p createCommand) fromMetadata(n *change.NewClient, m foreign.Metadata) {
	known, unknown := m.GrantTypes()
	if len(unknown) > 0 {
		p.say("Grant types that Hallpass does not have are left out: %s.", strings.Join(unknown, ", "))
	}
	n.ClientID, n.Keys, n.Codes.Public = m.ID, string(m.Keys), m.Method == "none"
	if n.DisplayName == "" {
		n.DisplayName = m.Name
	}
	if len(n.Contacts) == 0 {
		n.Contacts = m.Contacts
	}
	if len(n.Codes.RedirectURIs) == 0 {
		n.Codes.RedirectURIs = m.RedirectURIs
	}
	if len(n.Codes.GrantTypes) == 0 {
		n.Codes.GrantTypes = known
	}
	p.say("An OAuth2Policy has to list the clientID %s and its redirect URIs.", m.ID)
}
