// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package oauth2

import (
	"fmt"
	"hash/maphash"
	"math/rand/v2"
	"strings"
	"testing"
)

// TestADeciderDecidesAsDecideDoes whatever the sizes of a resource are, with and without an index.
func TestADeciderDecidesAsDecideDoes(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // the same each time
	some := func(n int) []string {
		var scopes []string
		for range n {
			scopes = append(scopes, fmt.Sprintf("scope-%d", random.IntN(80)))
		}
		return scopes
	}
	indexed := 0
	for range 300 {
		resource := &Resource{Scopes: some(random.IntN(70))}
		for range random.IntN(33) {
			consent := Consent{Scopes: some(random.IntN(65)), Namespaces: []string{"other"}}
			if random.IntN(3) == 0 {
				consent.Namespaces = []string{"shop"}
			}
			resource.Consents = append(resource.Consents, consent)
		}
		client := &Client{Namespace: "shop"}
		d := DeciderFor(client, resource)
		if d.indexed {
			indexed++
		}
		for i := range 80 {
			scope := fmt.Sprintf("scope-%d", i)
			if got, want := d.Decide(scope), decideBy(resource.Consents, client, resource, scope); got != want {
				t.Fatalf("%s of %d scopes with %d consents: %s, want %s", scope, len(resource.Scopes), len(resource.Consents), got, want)
			}
		}
	}
	if indexed == 0 || indexed == 300 {
		t.Errorf("%d of 300 resources were indexed", indexed)
	}
	if d := DeciderFor(&Client{}, nil); d.Decide("read") != ResourceNotFound {
		t.Error("a resource that does not exist gives something")
	}
}

// largest is a resource with as many scopes and consents as one can have, and a client that all of
// the consents cover.
func largest() (*Client, *Resource) {
	var all []string
	for i := range 64 {
		all = append(all, strings.Repeat("x", 125)+fmt.Sprintf("%03d", i))
	}
	resource := &Resource{Identifier: "https://h.test/resources/shop/api", Namespace: "shop", Name: "api", Scopes: all}
	for range 32 {
		resource.Consents = append(resource.Consents, Consent{Namespaces: []string{"team"}, Scopes: all[1:]})
	}
	return &Client{Namespace: "team", Tokens: TokenForm{Lifetime: MaxTokenLifetime}, Access: []Access{{ObjectName{"shop", "api"}, all}}}, resource
}

// TestTheLargestGrantTakesFewComparisons so that the decision that BenchmarkLargestGrant measures
// stays as quick: a search of each consent for each scope takes 65,000 comparisons.
func TestTheLargestGrantTakesFewComparisons(t *testing.T) {
	client, resource := largest()
	d := DeciderFor(client, resource)
	if !d.indexed {
		t.Fatal("the scopes of the largest resource are not indexed")
	}
	comparisons := func(scope string) (count int) {
		slot := maphash.String(scopeSeed, scope) % uint64(len(d.slots))
		for ; d.slots[slot] != 0 && resource.Scopes[d.slots[slot]-1] != scope; slot = (slot + 1) % uint64(len(d.slots)) {
			count++
		}
		return count + 1
	}
	looked, compared := 0, 0
	for _, scopes := range append([][]string{resource.Scopes}, consented(resource)...) {
		for _, scope := range scopes {
			looked, compared = looked+1, compared+comparisons(scope)
		}
	}
	if compared > 4*looked { // half of the slots are empty
		t.Errorf("%d comparisons for %d look-ups", compared, looked)
	}
	// the list that grows
	if n := testing.AllocsPerRun(100, func() { resource.granted(client, 0, resource.Scopes) }); n > 8 {
		t.Errorf("%v allocations", n)
	}
}

func consented(resource *Resource) (lists [][]string) {
	for _, consent := range resource.Consents {
		lists = append(lists, consent.Scopes)
	}
	return lists
}

// BenchmarkLargestGrant is the dearest decision that an owner of a resource can declare: below 0.1
// ms.
func BenchmarkLargestGrant(b *testing.B) {
	client, resource := largest()
	b.ReportAllocs()
	for b.Loop() {
		if len(resource.granted(client, 0, resource.Scopes)) != len(resource.Scopes)-1 {
			b.Fatal("not all was granted")
		}
	}
}
