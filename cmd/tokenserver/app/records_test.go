// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"crypto/ed25519"
	"fmt"
	"runtime"
	"testing"
	"time"

	"github.com/hallpass-dev/hallpass/internal/directory/memory"
	"github.com/hallpass-dev/hallpass/internal/jws"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
	"github.com/hallpass-dev/hallpass/internal/registration"
)

// TestAsManyRecordsAsTheManagerWritesFitTheTableOfMemory fills memory with the records of each kind
// for which the manager has room, and measures the heap.
func TestAsManyRecordsAsTheManagerWritesFitTheTableOfMemory(t *testing.T) {
	client := func(i int, change func(c *oauth2.Client)) (string, string, map[string][]byte, error) {
		c := oauth2.Client{
			Namespace: fmt.Sprint("team-", i/1000), Name: fmt.Sprint("service-", i), UID: fmt.Sprintf("%08x-aaaa-4bbb-8ccc-%012x", i, i), TokenLifetime: time.Hour,
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
	bound := 0
	for _, h := range holdings() {
		if h.bytes == clientSlot || h.bytes == registration.MaxRecords {
			bound += h.many * h.bytes
		}
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
		t.Run(name, func(t *testing.T) {
			// none has longer names
			_, kind, data, err := record(registration.MaxClients)
			if err != nil {
				t.Fatal(err)
			}
			n := registration.MaxRecords / registration.Weigh(kind, data)
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
		})
	}
}

func heap() int {
	runtime.GC()
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return int(stats.HeapAlloc) //nolint:gosec // far below the largest int
}
