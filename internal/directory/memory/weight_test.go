// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package memory

import (
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/hallpass-dev/hallpass/internal/oauth2"
	"github.com/hallpass-dev/hallpass/internal/registration"
)

// numbered are distinct texts of a length.
func numbered(n, length int) []string {
	list := make([]string, n)
	for i := range list {
		list[i] = fmt.Sprintf("%0*d", length, i)
	}
	return list
}

// weighed are records of each kind that are as large for their weight as tenants can make them.
func weighed(t testing.TB) map[string]func(i int) Record {
	t.Helper()
	client := func(change func(c *oauth2.Client)) func(i int) Record {
		return func(i int) Record {
			c := ordinary(i)
			c.Namespace, c.Name = fmt.Sprint(i/10), fmt.Sprint(i)
			c.ID = c.Namespace + "." + c.Name
			change(c)
			return clientRecord(t, *c)
		}
	}
	resource := func(change func(r *oauth2.Resource)) func(i int) Record {
		return func(i int) Record {
			r := oauth2.Resource{UID: ordinary(i).UID, Namespace: fmt.Sprint(i / 10), Name: fmt.Sprint(i), Identifier: fmt.Sprintf("https://hallpass.test/%d", i)}
			change(&r)
			return resourceRecord(t, r)
		}
	}
	token := func(tokens, scopes int) func(i int) Record {
		return func(i int) Record {
			m := printer
			m.UID, m.Name, m.Tokens = ordinary(i).UID, fmt.Sprint(i), nil
			for n := range tokens {
				next := printer.Tokens[0]
				next.ID, next.Scopes = fmt.Sprintf("%d-%d", i, n), numbered(scopes, 2)
				m.Tokens = append(m.Tokens, next)
			}
			return tokenRecord(t, 7, m)
		}
	}
	few, many := keysFor(t, 8, 1), keysFor(t, 90, 1)
	return map[string]func(i int) Record{
		"an ordinary client": func(i int) Record { return clientRecord(t, *ordinary(i)) },
		"a small client":     client(func(c *oauth2.Client) { c.Scopes, c.Credentials.Verifiers = nil, nil }),
		"a client with all its secrets": client(func(c *oauth2.Client) {
			for i := len(c.Credentials.Verifiers); i < oauth2.MaxVerifiers; i++ {
				c.Credentials.Verifiers = append(c.Credentials.Verifiers, oauth2.Verifier{
					ID: numbered(8, 12)[i], Digest: oauth2.Digest{1}, CreatedAt: created, ExpiresAt: created, WatchedSince: created, Pending: true,
				})
			}
		}),
		"a client with keys":      client(func(c *oauth2.Client) { c.Credentials = oauth2.Credentials{KeysOnly: true, Keys: few} }),
		"a client with many keys": client(func(c *oauth2.Client) { c.Credentials = oauth2.Credentials{KeysOnly: true, Keys: many} }),
		"a client as a service account": client(func(c *oauth2.Client) {
			c.Credentials = oauth2.Credentials{ServiceAccount: &oauth2.ServiceAccount{Name: c.Name, UID: c.UID}}
		}),
		"a client of a trusted issuer": client(func(c *oauth2.Client) {
			c.Credentials = oauth2.Credentials{Federated: &oauth2.Federated{IssuerName: "github", Subject: "repo:acme/shop:environment:prod", Claims: []oauth2.RequiredClaim{
				{Name: "repository_id", Values: []string{"1316584243"}}, {Name: "environment", Values: numbered(16, 8)},
			}}}
		}),
		"a public client": client(func(c *oauth2.Client) {
			c.GrantTypes, c.Credentials = oauth2.AuthorizationCode, oauth2.Credentials{Public: true}
			c.Codes = &oauth2.Codes{IssuerName: "corp", Refresh: oauth2.Refreshing{Lifetime: 8 * time.Hour, Limited: true, Max: 10}}
			for _, path := range numbered(16, 40) {
				c.Codes.RedirectURIs = append(c.Codes.RedirectURIs, "https://a.test/"+path)
			}
		}),
		"a client that revokes its tokens": client(func(c *oauth2.Client) {
			c.Revocation = oauth2.Revocation{Asked: created.Add(time.Hour), Before: created}
		}),
		"a client that lists much": client(func(c *oauth2.Client) {
			c.Scopes = numbered(64, 2)
			c.Access = []oauth2.Access{{Resource: oauth2.ObjectName{Namespace: "a", Name: "a"}, Scopes: numbered(64, 2)}}
			c.Tokens.Claims = []oauth2.Claim{{Name: "a", Values: numbered(16, 2)}, {Name: "b", Values: numbered(16, 2)}}
			c.Labels = map[string]string{}
			for _, label := range numbered(64, 2) {
				c.Labels[label] = ""
			}
		}),
		"a small resource":            resource(func(*oauth2.Resource) {}),
		"a resource with many scopes": resource(func(r *oauth2.Resource) { r.Scopes = numbered(64, 2) }),
		"a resource of much text":     resource(func(r *oauth2.Resource) { r.Scopes = numbered(64, 128) }),
		"a resource with descriptions": resource(func(r *oauth2.Resource) {
			for _, text := range numbered(64, 500) {
				r.Descriptions = append(r.Descriptions, oauth2.Description{Scope: text[:20], Text: text})
			}
		}),
		"a resource with many readers": resource(func(r *oauth2.Resource) { r.Introspectors = make2(64) }),
		"a resource with consent for many namespaces": resource(func(r *oauth2.Resource) {
			r.Consents = []oauth2.Consent{{Namespaces: numbered(4000, 4), Scopes: []string{"a"}}}
		}),
		"a resource with many consents": resource(func(r *oauth2.Resource) {
			for range 32 {
				r.Consents = append(r.Consents, oauth2.Consent{Namespaces: []string{"a"}, Scopes: []string{"a"}, ClientLabels: map[string]string{"a": "b"}})
			}
		}),
		"a resource with consents to exchanged tokens": resource(func(r *oauth2.Resource) {
			for range 32 {
				consent := oauth2.Consent{Namespaces: numbered(10, 3), Scopes: numbered(10, 3), ClientLabels: map[string]string{"a": "b"}}
				r.Consents, r.Exchanged = append(r.Consents, consent), append(r.Exchanged, consent)
			}
		}),
		"a resource with large consents": resource(func(r *oauth2.Resource) {
			for range 32 {
				labels := map[string]string{}
				for _, label := range numbered(8, 20) {
					labels[label] = "value"
				}
				r.Consents = append(r.Consents, oauth2.Consent{Namespaces: numbered(10, 3), Scopes: numbered(10, 3), ClientLabels: labels})
			}
		}),
		"an OAuth2Token without a token":   token(0, 0),
		"an OAuth2Token":                   token(1, 1),
		"an OAuth2Token with as many":      token(oauth2.MaxMinted, 64),
		"an OAuth2Token without any scope": token(oauth2.MaxMinted, 0),
	}
}

func make2(n int) (names []oauth2.ObjectName) {
	for _, s := range numbered(n, 2) {
		names = append(names, oauth2.ObjectName{Namespace: s, Name: s})
	}
	return names
}

// weightOf is what a record weighs.
func weightOf(r Record) int {
	if c := r.Client(); c != nil {
		return registration.WeighClient(*c)
	}
	if m := r.Minted(); m != nil {
		return registration.WeighToken(*m)
	}
	return registration.WeighResource(*r.Resource())
}

// store stores a record and its owner.
func store(m *Memory, r Record) {
	m.Registry.Apply(r)
	if c := r.Client(); c != nil {
		owner := oauth2.Owner{UID: strings.Clone(c.UID)}
		m.Clients.Apply(Client{Place: PlaceOf(c.Namespace, c.Name), Tenant: TenantOf(c.Namespace), Owner: owner})
	}
	if t := r.Minted(); t != nil {
		m.Tokens.Apply(Token{
			Place: PlaceOf(t.Namespace, t.Name), Tenant: TenantOf(t.Namespace),
			Owner: &oauth2.MintedOwner{UID: strings.Clone(t.UID), ClientName: strings.Clone(t.ClientName)},
		})
	}
}

func heap() int {
	runtime.GC()
	runtime.GC() // what a pool has outlives one
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return int(stats.HeapAlloc) //nolint:gosec // far below the largest int
}

// tableOf is the heap of the table of clients with n entries, which is not part of their weight.
func tableOf(n int) int {
	before := heap()
	m := New(time.Now, time.Now)
	for i := range n {
		m.Registry.clients.put(PlaceOf("", fmt.Sprint(i)), packed{short: "packed"})
	}
	took := heap() - before
	runtime.KeepAlive(m)
	return took
}

// TestARecordTakesNoMoreThanItsWeight measures the heap of many records of each kind, where their
// tables have just grown. The manager bounds what namespaces may register by weight.
func TestARecordTakesNoMoreThanItsWeight(t *testing.T) {
	most, bytes := 15_000, 8<<20
	if testing.Short() {
		most, bytes = 1_900, 1<<20
	}
	for name, record := range weighed(t) {
		n := 15
		for n < most && 2*n*weightOf(record(1)) < bytes {
			n *= 2
		}
		m := New(time.Now, time.Now)
		before, all := heap(), 0
		for i := range n {
			r := record(i)
			all += weightOf(r)
			store(m, r)
		}
		took, table := heap()-before, 0
		if record(0).Client() != nil {
			table = tableOf(n)
		}
		took -= table
		t.Logf("%-45s %6d bytes of heap, weight %6d, ratio %.2f, n %d", name, took/n, all/n, float64(took)/float64(all), n)
		// a table of that many entries may be larger than another one
		if took > all+table/10 {
			t.Errorf("%s takes %d bytes, and weighs %d", name, took/n, all/n)
		}
		runtime.KeepAlive(m)
	}
}
