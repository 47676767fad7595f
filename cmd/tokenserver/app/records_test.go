// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"fmt"
	"runtime"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/hallpass-dev/hallpass/internal/directory/memory"
	"github.com/hallpass-dev/hallpass/internal/jws"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
	"github.com/hallpass-dev/hallpass/internal/registration"
	"github.com/hallpass-dev/hallpass/internal/serve"
)

// TestAsManyRecordsAsTheManagerWritesFitTheTableOfMemory fills memory with the records of each kind
// for which the manager has room, and measures the heap.
func TestAsManyRecordsAsTheManagerWritesFitTheTableOfMemory(t *testing.T) {
	client := func(i int, change func(c *oauth2.Client)) (string, string, map[string][]byte, error) {
		c := oauth2.Client{
			Namespace: fmt.Sprint("team-", i/1000), Name: fmt.Sprint("service-", i), UID: fmt.Sprintf("%08x-aaaa-4bbb-8ccc-%012x", i, i), Tokens: oauth2.TokenForm{Lifetime: time.Hour},
			Scopes: []string{"read", "write"},
		}
		c.ID = c.Namespace + "." + c.Name
		change(&c)
		data, err := registration.Encode(registration.Registration{Client: c})
		return registration.SecretName(c.ID), registration.SecretType, data, err
	}
	var keys []jws.PublicKey
	for i := range 80 {
		keys = append(keys, jws.PublicKey{ID: fmt.Sprint(i), Algorithm: jws.EdDSA, Key: make(ed25519.PublicKey, ed25519.PublicKeySize)})
	}
	set, err := jws.PackKeys(keys...)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for i := range 2000 {
		names = append(names, fmt.Sprintf("%024d", i))
	}
	bounds := []int{registration.MaxRecords, 3 * registration.MaxRecords}
	if testing.Short() { // with the race detector the others take minutes
		bounds = []int{registration.MaxRecords / 8}
	}
	for name, record := range map[string]func(i int) (name, kind string, data map[string][]byte, err error){
		"clients with a secret": func(i int) (string, string, map[string][]byte, error) {
			return client(i, func(c *oauth2.Client) {
				c.Credentials.Verifiers = []oauth2.Verifier{{ID: "abcdefghijkl", Digest: oauth2.Digest{1}, CreatedAt: time.Unix(1_800_000_000, 0)}}
			})
		},
		"clients with a JWK set": func(i int) (string, string, map[string][]byte, error) {
			return client(i, func(c *oauth2.Client) { c.Credentials = oauth2.Credentials{KeysOnly: true, Keys: set} })
		},
		"resources": func(i int) (string, string, map[string][]byte, error) {
			r := oauth2.Resource{
				Identifier: fmt.Sprint("https://hallpass.test/", i), UID: fmt.Sprint(i), Namespace: "shop", Name: fmt.Sprint(i), Scopes: []string{"read"},
				Consents: []oauth2.Consent{{Namespaces: names, Scopes: []string{"read"}}},
			}
			data, err := registration.EncodeResource(r)
			return registration.ResourceSecretName(r.Identifier), registration.ResourceSecretType, data, err
		},
	} {
		for _, records := range bounds {
			t.Run(fmt.Sprint(name, " in ", serve.Bytes(records)), func(t *testing.T) { fill(t, records, record) })
		}
	}
}

// fill fills memory with as many records as a bound has room for.
func fill(t *testing.T, records int, record func(i int) (name, kind string, data map[string][]byte, err error)) {
	t.Helper()
	bound := 0
	for _, h := range holdings(records) {
		if h.bytes == clientSlot || h.bytes == records {
			bound += h.many * h.bytes
		}
	}
	// none has longer names
	_, kind, data, err := record(registration.ClientsIn(records))
	if err != nil {
		t.Fatal(err)
	}
	n := records / registration.Weigh(kind, data)
	before := heap()
	m := memory.New(time.Now, time.Now)
	for i := range n {
		name, kind, data, err := record(i)
		if err != nil {
			t.Fatal(err)
		}
		decoded, err := memory.DecodeRecord(name, kind, 1, data)
		if err != nil {
			t.Fatal(err)
		}
		m.Registry.Apply(decoded)
		if c := decoded.Client(); c != nil {
			m.Clients.Apply(memory.Client{
				Place: memory.PlaceOf(c.Namespace, c.Name), Tenant: memory.TenantOf(c.Namespace), Owner: oauth2.Owner{UID: c.UID},
			})
		}
	}
	took := heap() - before
	t.Logf("%d take %.1f MiB", n, float64(took)/(1<<20))
	if took > bound {
		t.Errorf("%d take %d bytes, more than the %d of the table", n, took, bound)
	}
	runtime.KeepAlive(m)
}

// keyClient is what a client with a JWK set of 2 KB weighs at most, as the docs count it.
const keyClient = 2048

// TestClientsWithJWKSetsOfTwoKilobytes: whatever keys are in it.
func TestClientsWithJWKSetsOfTwoKilobytes(t *testing.T) {
	private, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	signing, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for name, key := range map[string]any{"RSA": &private.PublicKey, "ECDSA": &signing.PublicKey} {
		for _, kid := range []int{8, 43, 200} {
			var set jose.JSONWebKeySet
			var document []byte
			for {
				id := fmt.Sprintf("%0*d", kid, len(set.Keys))
				set.Keys = append(set.Keys, jose.JSONWebKey{Key: key, KeyID: id, Use: "sig"})
				larger, err := json.Marshal(set)
				if err != nil {
					t.Fatal(err)
				}
				if len(larger) > 2048 {
					break
				}
				document = larger
			}
			keys, err := jws.ParseKeySet(document)
			if err != nil {
				t.Fatal(err)
			}
			packed, err := jws.PackKeys(keys.Keys...)
			if err != nil {
				t.Fatal(err)
			}
			weight := registration.WeighClient(oauth2.Client{
				ID: "payments.checkout-worker", Namespace: "payments", Name: "checkout-worker", UID: "0e3b7f7a-aaaa-4bbb-8ccc-2c1f0e9d8b7a", Tokens: oauth2.TokenForm{Lifetime: time.Hour},
				Scopes: []string{"orders:read", "orders:write"}, Credentials: oauth2.Credentials{KeysOnly: true, Keys: packed},
			})
			t.Logf("%d %s keys with a kid of %d letters, %d bytes: %d", len(keys.Keys), name, kid, len(document), weight)
			if weight > keyClient {
				t.Errorf("a client with %d bytes of %s keys weighs %d, at most %d", len(document), name, weight, keyClient)
			}
		}
	}
}

// heap is the size of the live objects of the process.
func heap() int {
	runtime.GC()
	runtime.GC() // what pools hold is collected by the second one
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return int(stats.HeapAlloc) //nolint:gosec // far below the largest int
}
