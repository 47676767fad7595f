// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package auth_test

import (
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"
	"unsafe"

	"github.com/hallpass-dev/hallpass/internal/auth"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
)

// heldBy returns the heap memory in use, garbage not counted.
func heldBy() int {
	var stats runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&stats)
	return int(stats.HeapAlloc) //nolint:gosec // there is not that much memory
}

// The memory of verified tokens counts some hundred bytes a token, so a token must not keep alive
// what a caller sent beside it.
func TestATokenThatIsRememberedDoesNotHoldTheRequest(t *testing.T) {
	const tokens, padding = 200, 60 << 10
	w := newChained(t)
	caller := w.caller(reporting)
	before := heldBy()
	for i := range tokens {
		form, err := oauth2.ParseForm(fmt.Sprintf("grant_type=client_credentials&scope=orders.read&resource=%s&n=%d&padding=%s",
			w.ordersAPI, i, strings.Repeat("x", padding)))
		must(t, err)
		request, err := oauth2.ParseTokenRequest(form)
		must(t, err)
		_, err = w.Issue(t.Context(), caller, request)
		must(t, err)
	}
	if after := heldBy(); after > before+tokens*padding/4 {
		t.Errorf("%d tokens hold %d bytes", tokens, after-before)
	}
	runtime.KeepAlive(w)
}

// What is read of a token are parts of its payload, and what is of a client or of a resource is a
// part of a record: a token that is remembered must keep none of them alive.
func TestATokenThatIsRememberedHasTextsOfItsOwn(t *testing.T) {
	w := newChained(t)
	w.change(reporting, func(c *oauth2.Client, _ *oauth2.Owner) {
		c.Claims = []oauth2.Claim{{Name: "https://x.example/team", Value: "red"}, {Name: "https://x.example/teams", Values: []string{"red", "blue"}}}
	})
	request := oauth2.TokenRequest{GrantType: oauth2.ClientCredentials, Resource: w.ordersAPI}
	first, err := w.Issue(t.Context(), w.caller(reporting), request)
	must(t, err)
	one, err := w.exchange(gateway, first.Value.Reveal(), w.stockAPI)
	must(t, err)
	two, err := w.exchange(warehouse, one.Value.Reveal(), w.filesAPI)
	must(t, err)
	others := map[*byte]bool{}
	note := func(texts []string) {
		for _, text := range texts {
			others[unsafe.StringData(text)] = true //nolint:gosec // only compared
		}
	}
	for _, record := range w.memory.clients {
		c := record.Client
		note(append([]string{c.ID, c.UID}, c.Scopes...))
		for _, claim := range c.Claims {
			note(append([]string{claim.Name, claim.Value}, claim.Values...))
		}
		for _, access := range c.Access {
			note(access.Scopes)
		}
	}
	for _, r := range w.memory.resources {
		note(append([]string{r.Identifier}, r.Scopes...))
	}
	for _, token := range []auth.Issued{first, one, two} {
		texts := textsOf(token.Claims)
		for _, text := range texts {
			if text != "" && others[unsafe.StringData(text)] { //nolint:gosec // only compared
				t.Errorf("the token of %s keeps the %q of another", token.Claims.ClientID, text)
			}
		}
		note(texts)
	}
}

func textsOf(c *oauth2.Claims) []string {
	texts := slices.Concat([]string{c.Subject, c.Audience, c.ClientID, c.ClientUID, c.ID}, c.Scopes, c.Actors)
	for _, claim := range c.Custom {
		texts = append(append(texts, claim.Name, claim.Value), claim.Values...)
	}
	for _, a := range c.Ancestors {
		texts = append(texts, a.ID, a.ClientID, a.ClientUID, a.KeyID)
	}
	return texts
}
