// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package registration_test

import (
	"crypto/ed25519"
	"errors"
	"testing"
	"time"

	"github.com/hallpass-dev/hallpass/internal/jws"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
	"github.com/hallpass-dev/hallpass/internal/registration"
)

// FuzzDecodeIssuer looks for a record of a trusted issuer that is read and cannot be written again
// as it was read.
func FuzzDecodeIssuer(f *testing.F) {
	keys, err := jws.PackKeys(jws.PublicKey{ID: "k", Algorithm: jws.EdDSA, Key: make(ed25519.PublicKey, ed25519.PublicKeySize)})
	if err != nil {
		f.Fatal(err)
	}
	at := time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)
	data, err := registration.EncodeIssuer(oauth2.TrustedIssuer{
		Name: "github", UID: "u", Issuer: "https://issuer.test", Suspended: true, Keys: oauth2.IssuerKeys{Set: keys, FetchedAt: at, Until: at.Add(time.Hour)},
		Algorithms: []jws.Algorithm{jws.EdDSA}, Audiences: []string{"https://hallpass.test"}, MaxLife: time.Hour, Once: true,
		Delegations: []oauth2.Delegation{{
			Namespaces: []string{"ci", "shop"}, SubjectPrefixes: []string{"repo:acme/"}, Claims: []oauth2.RequiredClaim{{Name: "owner", Values: []string{"1"}}},
		}},
	})
	if err != nil {
		f.Fatal(err)
	}
	withLogin, err := registration.EncodeIssuer(corp())
	if err != nil {
		f.Fatal(err)
	}
	trustDomain, err := registration.EncodeIssuer(oauth2.TrustedIssuer{Name: "spire", UID: "u", Issuer: oauth2.TrustDomainID("example.org"), Keys: oauth2.IssuerKeys{Set: keys}})
	if err != nil {
		f.Fatal(err)
	}
	for _, whole := range [][]byte{data["issuer.json"], withLogin["issuer.json"], trustDomain["issuer.json"]} {
		for i := 0; i <= len(whole); i += 11 {
			f.Add(whole[:i])
		}
		f.Add(whole)
	}
	f.Fuzz(func(t *testing.T, document []byte) {
		read, err := registration.DecodeIssuer(map[string][]byte{"issuer.json": document})
		if err != nil {
			if !errors.Is(err, registration.ErrUnreadable) {
				t.Errorf("%v is not ErrUnreadable", err)
			}
			return
		}
		data, err := registration.EncodeIssuer(read)
		if errors.Is(err, registration.ErrTooLarge) {
			return
		}
		if err != nil {
			t.Fatalf("cannot be written again: %v", err)
		}
		again, err := registration.DecodeIssuer(data)
		if err != nil {
			t.Fatalf("cannot be read again: %v", err)
		}
		if second, err := registration.EncodeIssuer(again); err != nil || string(second["issuer.json"]) != string(data["issuer.json"]) {
			t.Errorf("%s (%v), first %s", second, err, data)
		}
	})
}
