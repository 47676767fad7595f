// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package oauth2resource

import (
	"errors"
	"fmt"
	"testing"

	"github.com/hallpass-dev/hallpass/internal/oauth2"
	"github.com/hallpass-dev/hallpass/internal/registration"
)

func namespaces(n int) []string {
	var names []string
	for i := range n {
		names = append(names, fmt.Sprintf("a-team-with-a-long-name-%05d", i))
	}
	return names
}

func resourceWith(consents ...oauth2.Consent) oauth2.Resource {
	return oauth2.Resource{Identifier: "https://api.test", UID: "u", Namespace: "orders", Name: "api", Scopes: []string{"read"}, Consents: consents}
}

func TestARecordHasEachNamespaceOnce(t *testing.T) {
	var consents []oauth2.Consent
	for i := range 32 {
		consents = append(consents, oauth2.Consent{Namespaces: namespaces(10_000 - 100*i), Scopes: []string{"read", fmt.Sprint("scope-", i)}})
	}
	data, err := encode(resourceWith(consents...))
	if err != nil {
		t.Fatal(err)
	}
	once, err := encode(resourceWith(consents[0]))
	if err != nil {
		t.Fatal(err)
	}
	size, least := len(data["resource.json"]), len(once["resource.json"])
	if size > least+32<<10 {
		t.Errorf("%d bytes with 32 grants, %d with one", size, least)
	}
	if _, err := registration.DecodeResource(data); err != nil {
		t.Error(err)
	}
}

func TestARecordThatDoesNotFit(t *testing.T) {
	if _, err := encode(resourceWith(oauth2.Consent{Namespaces: namespaces(30_000), Scopes: []string{"read"}})); !errors.Is(err, registration.ErrTooLarge) {
		t.Errorf("30,000 namespaces: %v", err)
	}
}
