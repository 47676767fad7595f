// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package memory

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"fmt"
	"math/big"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hallpass-dev/hallpass/internal/jws"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
	"github.com/hallpass-dev/hallpass/internal/registration"
)

var created = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// ordinary is a client as most are.
func ordinary(i int) *oauth2.Client {
	c := &oauth2.Client{
		Namespace: fmt.Sprintf("team-%d", i/10), Name: fmt.Sprintf("service-%d", i), UID: fmt.Sprintf("%08x-aaaa-4bbb-8ccc-%012x", i, i),
		Scopes: []string{"read", "write"}, Tokens: oauth2.TokenForm{Lifetime: time.Hour},
		Credentials: oauth2.Credentials{Verifiers: []oauth2.Verifier{{ID: "abcdefghijkl", Digest: oauth2.Digest{byte(i & 0x7f), 1}, CreatedAt: created}}},
	}
	c.ID = c.Namespace + "." + c.Name
	return c
}

// fillOrdinary stores a client and its owner.
func fillOrdinary(m *Memory, c *oauth2.Client) {
	m.Registry.clients.put(registration.LockOf(c.ID), pack(c))
	m.Clients.at.put(PlaceOf(c.Namespace, c.Name), packOwner(oauth2.Owner{UID: c.UID}, TenantOf(c.Namespace)))
}

func TestAPackedClientComesBackWhole(t *testing.T) {
	for name, c := range map[string]struct {
		change func(c *oauth2.Client)
		whole  bool // it is kept as it is
	}{
		"an ordinary client":                         {change: func(*oauth2.Client) {}},
		"a client that chose its identifier":         {change: func(c *oauth2.Client) { c.ID = "LfXJilIBdzj5JPRn4xb5QQ.." }},
		"a UID that is no UUID":                      {change: func(c *oauth2.Client) { c.UID = "uid-1" }},
		"a UID in capital letters":                   {change: func(c *oauth2.Client) { c.UID = strings.ToUpper(c.UID) }},
		"a UID with hyphens elsewhere":               {change: func(c *oauth2.Client) { c.UID = strings.Repeat("-", 4) + strings.ReplaceAll(c.UID, "-", "") }},
		"no UID":                                     {change: func(c *oauth2.Client) { c.UID = "" }},
		"a suspended client":                         {change: func(c *oauth2.Client) { c.Suspended = true }},
		"an algorithm of its own":                    {change: func(c *oauth2.Client) { c.Tokens.Algorithm = jws.RS256 }},
		"no scopes and no secrets":                   {change: func(c *oauth2.Client) { c.Scopes, c.Credentials.Verifiers = nil, nil }},
		"a pending secret beside one without a date": {change: twoVerifiers},
		"a client that a policy refuses":             {change: func(c *oauth2.Client) { c.Refused = true }},
		"labels":                                     {change: func(c *oauth2.Client) { c.Labels = map[string]string{"team": "a", "": "b"} }},
		"access to resources": {change: func(c *oauth2.Client) {
			c.Access = []oauth2.Access{{Resource: oauth2.ObjectName{Namespace: "orders", Name: "api"}, Scopes: []string{"orders.read"}}, {}}
			c.DefaultResource = c.Access[0].Resource
		}},
		"a lifetime in fractions of a second": {change: func(c *oauth2.Client) { c.Tokens.Lifetime++ }, whole: true},
		"instants in another zone": {change: func(c *oauth2.Client) {
			c.Credentials.Verifiers[0].CreatedAt = created.In(time.FixedZone("", 3600))
		}, whole: true},
		"keys": {change: func(c *oauth2.Client) {
			c.Credentials = oauth2.Credentials{KeysOnly: true, Keys: keysFor(t, 3, 10), MaxAssertionLife: time.Minute}
		}},
		"no key that can be read": {change: func(c *oauth2.Client) { c.Credentials = oauth2.Credentials{KeysOnly: true} }},
		"keys that are none":      {change: func(c *oauth2.Client) { c.Credentials = oauth2.Credentials{KeysOnly: true, Keys: "?"} }, whole: true},
		"a service account": {change: func(c *oauth2.Client) {
			c.Credentials = oauth2.Credentials{ServiceAccount: &oauth2.ServiceAccount{Name: "worker", UID: "u"}}
		}},
		"a subject of a trusted issuer": {change: func(c *oauth2.Client) {
			c.Credentials = oauth2.Credentials{Federated: &oauth2.Federated{IssuerName: "github", Subject: "repo:acme/shop:environment:prod"}}
		}},
		"claims of a trusted issuer": {change: func(c *oauth2.Client) {
			c.Credentials = oauth2.Credentials{Federated: &oauth2.Federated{IssuerName: "github", SubjectPrefix: "repo:acme/", Claims: []oauth2.RequiredClaim{
				{Name: "repository_id", Values: []string{"7"}}, {Name: "environment", Values: []string{"a", "b"}},
			}}}
			c.Revocation = oauth2.Revocation{Asked: created, Before: created}
		}},
		"grant types": {change: func(c *oauth2.Client) { c.GrantTypes = oauth2.ClientCredentials | oauth2.JWTBearer }},
		"authorization codes": {change: func(c *oauth2.Client) {
			c.GrantTypes, c.Codes = oauth2.ClientCredentials|oauth2.AuthorizationCode, &oauth2.Codes{RedirectURIs: []string{"https://a.test/cb"}}
		}},
		"a public client with all that codes have": {change: func(c *oauth2.Client) {
			c.GrantTypes, c.Credentials = oauth2.AuthorizationCode, oauth2.Credentials{Public: true}
			c.Codes = &oauth2.Codes{
				RedirectURIs: []string{"http://localhost/cb", "https://a.test/cb"}, IssuerName: "corp", DisplayName: "Reports", AskAlways: true,
				Refresh: oauth2.Refreshing{Lifetime: 2160 * time.Hour, Idle: time.Hour, Limited: true, Max: 10_000},
			}
		}},
		"codes of an emptied record": {change: func(c *oauth2.Client) {
			c.GrantTypes, c.Credentials, c.Codes = oauth2.AuthorizationCode, oauth2.Credentials{Public: true}, &oauth2.Codes{}
		}},
		"a public client without codes": {change: func(c *oauth2.Client) { c.Credentials = oauth2.Credentials{Public: true} }, whole: true},
		"refresh tokens in fractions of a second": {change: func(c *oauth2.Client) {
			c.GrantTypes, c.Codes = oauth2.AuthorizationCode, &oauth2.Codes{Refresh: oauth2.Refreshing{Lifetime: time.Hour + 1}}
		}, whole: true},
		"custom claims": {change: func(c *oauth2.Client) {
			c.Tokens.Claims = []oauth2.Claim{{Name: "tier", Value: "gold"}, {Name: "teams", Values: []string{"a", "b"}}}
		}},
		"a revocation": {change: func(c *oauth2.Client) {
			c.Revocation = oauth2.Revocation{Asked: created.Add(time.Hour), Before: created.Add(time.Nanosecond)}
		}},
		"a revocation in a year to come": {change: func(c *oauth2.Client) {
			c.Revocation.Asked = created.AddDate(7000, 0, 0)
		}},
	} {
		t.Run(name, func(t *testing.T) {
			want := ordinary(7)
			c.change(want)
			got := pack(want)
			if (got.whole != nil) != c.whole {
				t.Errorf("kept as it is: %t, want %t", got.whole != nil, c.whole)
			}
			if diff := cmp.Diff(want, got.client()); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestAPackedOwnerComesBackWhole(t *testing.T) {
	for _, want := range []oauth2.Owner{
		{}, {UID: "uid-1"}, {UID: ordinary(1).UID}, {UID: ordinary(1).UID, Suspended: true}, {UID: "uid-1", Terminating: true},
	} {
		if diff := cmp.Diff(want, packOwner(want, TenantOf("shop")).owner(want.UID)); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	}
}

// keysFor are the keys of a client: P-256 and Ed25519 keys and one of RSA, with kids of a length.
func keysFor(t testing.TB, n, kid int) jws.PackedKeys {
	t.Helper()
	modulus := new(big.Int).Lsh(big.NewInt(1), jws.MinRSABits-1)
	keys := []jws.PublicKey{{Algorithm: jws.PS256, Key: &rsa.PublicKey{N: modulus.SetBit(modulus, 0, 1), E: 65537}}}
	for i := range n - 1 {
		if i%2 == 0 {
			keys = append(keys, jws.PublicKey{Algorithm: jws.EdDSA, Key: make(ed25519.PublicKey, ed25519.PublicKeySize)})
			continue
		}
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		must(t, err)
		keys = append(keys, jws.PublicKey{Algorithm: jws.ES256, Key: &key.PublicKey})
	}
	for i := range keys {
		keys[i].ID = fmt.Sprintf("%0*d", kid, i)
	}
	packed, err := jws.PackKeys(keys...)
	must(t, err)
	return packed
}

func twoVerifiers(c *oauth2.Client) {
	c.Credentials.Verifiers = append(c.Credentials.Verifiers, oauth2.Verifier{ID: "b", Digest: oauth2.Digest{2}, ExpiresAt: created, Pending: true})
}

// heapOf is how many bytes of the heap each of many clients takes, with its owner, that a function
// stores.
func heapOf(store func(m *Memory, c *oauth2.Client)) (bytes uint64, m *Memory) {
	clients := uint64(50_000)
	if testing.Short() {
		clients = 15_000
	}
	heap := func() uint64 {
		runtime.GC()
		var stats runtime.MemStats
		runtime.ReadMemStats(&stats)
		return stats.HeapAlloc
	}
	before := heap()
	m = New(time.Now, time.Now)
	for i := range clients {
		store(m, ordinary(int(i)))
	}
	return (heap() - before) / clients, m
}

// TestAClientTakesFewBytes measures what memory holds for each of many clients, and what it held
// before anything was put into it.
func TestAClientTakesFewBytes(t *testing.T) {
	const limit = 300
	each, m := heapOf(fillOrdinary)
	if each > limit {
		t.Errorf("%d bytes a client, at most %d", each, limit)
	} else {
		t.Logf("%d bytes a client", each)
	}
	if got := m.Record("team-4.service-42"); got.Client == nil || got.Owner == nil || got.Owner.UID != got.Client.UID {
		t.Errorf("found %+v", got)
	}
}

// TestAFederatedClientTakesFewBytes measures what memory holds for each client of a trusted issuer
// beyond the texts of its subject and its claims.
func TestAFederatedClientTakesFewBytes(t *testing.T) {
	const limit = 300
	var texts uint64
	federated := func(c *oauth2.Client) {
		c.Credentials = oauth2.Credentials{Federated: &oauth2.Federated{
			IssuerName: "github", Subject: "repo:octo-org@65/" + c.Name + "@74:environment:prod",
			Claims: []oauth2.RequiredClaim{{Name: "repository_id", Values: []string{"1316584243"}}, {Name: "environment", Values: []string{"prod", "stage"}}},
		}}
	}
	each, m := heapOf(func(m *Memory, c *oauth2.Client) {
		federated(c)
		texts = uint64(len(c.Credentials.Federated.Subject))
		for _, claim := range c.Credentials.Federated.Claims {
			texts += uint64(len(claim.Name) + len(strings.Join(claim.Values, "")))
		}
		fillOrdinary(m, c)
	})
	if beyond := max(each, texts) - texts; beyond > limit {
		t.Errorf("%d bytes a client beyond %d of its texts, at most %d", beyond, texts, limit)
	} else {
		t.Logf("%d bytes a client beyond %d of its texts", beyond, texts)
	}
	want := ordinary(42)
	federated(want)
	if diff := cmp.Diff(want, m.Record(want.ID).Client); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// BenchmarkBytes compares clients that are packed with such as are not. Its bytes are the same in
// each run, and its time means nothing.
func BenchmarkBytes(b *testing.B) {
	whole := func(m *Memory, c *oauth2.Client) {
		m.Registry.clients.put(registration.LockOf(c.ID), packed{whole: c})
		m.Clients.at.put(PlaceOf(c.Namespace, c.Name), packedOwner{whole: &oauth2.Owner{UID: c.UID}})
	}
	withoutSecret := func(store func(*Memory, *oauth2.Client)) func(*Memory, *oauth2.Client) {
		return func(m *Memory, c *oauth2.Client) {
			c.Credentials.Verifiers = nil
			store(m, c)
		}
	}
	for name, store := range map[string]func(*Memory, *oauth2.Client){
		"packed": fillOrdinary, "with pointers": whole,
		"packed, without a secret": withoutSecret(fillOrdinary), "with pointers, without a secret": withoutSecret(whole),
	} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				each, m := heapOf(store)
				b.ReportMetric(float64(each), "bytes/client")
				runtime.KeepAlive(m)
			}
		})
	}
}

func BenchmarkRecord(b *testing.B) {
	const clients = 10_000
	m := New(time.Now, time.Now)
	ids := make([]string, clients)
	for i := range clients {
		c := ordinary(i)
		ids[i] = c.ID
		fillOrdinary(m, c)
	}
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		i = (i + 7919) % clients
		if m.Record(ids[i]).Client == nil {
			b.Fatal("not found")
		}
	}
}

func BenchmarkPack(b *testing.B) {
	c := ordinary(1)
	b.ReportAllocs()
	for b.Loop() {
		pack(c)
	}
}
