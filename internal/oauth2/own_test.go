// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package oauth2_test

import (
	"crypto/rand"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/hallpass-dev/hallpass/internal/oauth2"
)

// What the claims of a token have of others are parts of longer texts: of a record, of a body, of
// the payload of another token. A token is remembered for longer, and keeps none of them alive.
func TestAnIssuedTokenKeepsNoLongerText(t *testing.T) {
	const tokens, length = 200, 60 << 10
	key, err := ring(t).SigningKey(now)
	if err != nil {
		t.Fatal(err)
	}
	part := func(text string) string { return (strings.Repeat("x", length) + text)[length:] }
	for name, change := range map[string]func(*oauth2.Client, *oauth2.Grant){
		"the client_id": func(c *oauth2.Client, _ *oauth2.Grant) { c.ID = part("shop.reporting") },
		"the UID":       func(c *oauth2.Client, _ *oauth2.Grant) { c.UID = part("uid") },
		"a claim": func(c *oauth2.Client, _ *oauth2.Grant) {
			c.Tokens.Claims = []oauth2.Claim{{Name: part("https://x.example/a"), Value: part("b")}, {Name: "https://x.example/c", Values: []string{part("d")}}}
		},
		"the audience": func(_ *oauth2.Client, g *oauth2.Grant) { g.Audience = part("https://orders.example") },
		"a scope":      func(_ *oauth2.Client, g *oauth2.Grant) { g.Scopes = []string{part("read")} },
		"the subject":  func(_ *oauth2.Client, g *oauth2.Grant) { g.For.Subject = part("shop.web") },
		"an actor":     func(_ *oauth2.Client, g *oauth2.Grant) { g.For.Actors = []string{part("shop.web")} },
		"an ancestor": func(_ *oauth2.Client, g *oauth2.Grant) {
			g.For.Ancestors = []oauth2.Ancestor{{ID: part("a"), ClientID: part("b"), ClientUID: part("c"), KeyID: part("d")}}
		},
	} {
		t.Run(name, func(t *testing.T) {
			held := make([]oauth2.Token, tokens)
			before := heap()
			for i := range held {
				client, grant := *shop(), oauth2.Grant{Audience: "a", Lifetime: time.Hour}
				grant.For = &oauth2.Chain{Until: now.Add(time.Hour)}
				if change(&client, &grant); len(client.Tokens.Claims) > 0 {
					grant.For = nil
				}
				if held[i], err = issuer(t).Issue(&client, grant, key, now, rand.Reader); err != nil {
					t.Fatal(err)
				}
			}
			if after := heap(); after > before+tokens*length/4 {
				t.Errorf("%d tokens hold %d bytes", tokens, after-before)
			}
			runtime.KeepAlive(held)
		})
	}
}

// heap is the memory in use, garbage not counted.
func heap() int {
	var stats runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&stats)
	return int(stats.HeapAlloc) //nolint:gosec // there is not that much memory
}
