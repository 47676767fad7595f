// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package jws_test

import (
	"crypto/rsa"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hallpass-dev/hallpass/internal/jws"
)

func packed(t testing.TB, keys ...jws.PublicKey) jws.PackedKeys {
	t.Helper()
	p, err := jws.PackKeys(keys...)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestPackedKeysAreTheKeysOfTheirSet(t *testing.T) {
	var keys []jws.PublicKey
	for _, algorithm := range []jws.Algorithm{jws.ES256, jws.RS256, jws.EdDSA} {
		keys = append(keys, signer(t, algorithm).Public())
	}
	ps := keys[1]
	ps.ID, ps.Algorithm = "ps", jws.PS256
	keys = append(keys, ps)
	set, p := jws.KeySet{Keys: keys}, packed(t, keys...)
	var want []jws.JWK
	for _, key := range keys {
		jwk, err := key.JWK()
		if err != nil {
			t.Fatal(err)
		}
		want = append(want, jwk)
	}
	if diff := cmp.Diff(want, p.JWKs()); diff != "" || !p.Valid() {
		t.Errorf("JWKs (-want +got):\n%s", diff)
	}
	var headers []jws.Header
	for _, algorithm := range []jws.Algorithm{jws.ES256, jws.RS256, jws.PS256, jws.EdDSA} {
		for _, id := range append(p.IDs(), "", "other") {
			headers = append(headers, jws.Header{Algorithm: algorithm, KeyID: id})
		}
	}
	for name, c := range map[string]struct {
		set    jws.KeySet
		packed jws.PackedKeys
	}{
		"four": {set, p}, "one": {jws.KeySet{Keys: keys[:1]}, packed(t, keys[0])}, "two": {jws.KeySet{Keys: keys[2:]}, packed(t, keys[2:]...)}, "none": {},
	} {
		for _, header := range headers {
			want, wantErr := c.set.Key(header)
			got, err := c.packed.Key(header)
			if diff := cmp.Diff(want, got); diff != "" || errors.Is(err, jws.ErrNoKey) != errors.Is(wantErr, jws.ErrNoKey) {
				t.Errorf("%s keys, %+v: %v, want %v (-want +got):\n%s", name, header, err, wantErr, diff)
			}
		}
	}
}

func TestAWeakKeyIsNotPacked(t *testing.T) {
	for _, key := range []jws.PublicKey{
		{ID: "a"}, {ID: "a", Algorithm: jws.ES256, Key: signer(t, jws.EdDSA).Public().Key}, {ID: "a", Algorithm: jws.RS256, Key: &rsa.PublicKey{E: 3, N: odd(2048)}},
	} {
		if p, err := jws.PackKeys(key); err == nil {
			t.Errorf("%v is packed as %q", key, p)
		}
	}
}

func TestTheKeysOfTwoSets(t *testing.T) {
	a, b, c := signer(t, jws.ES256).Public(), signer(t, jws.EdDSA).Public(), signer(t, jws.RS256).Public()
	renamed := b
	renamed.ID = "another kid"
	for name, c := range map[string]struct{ of, with, want jws.PackedKeys }{
		"one of two":      {packed(t, a, b), packed(t, c, b), packed(t, b)},
		"all, in order":   {packed(t, a, b, c), packed(t, c, b, a), packed(t, a, b, c)},
		"by another name": {packed(t, a, b), packed(t, renamed), ""},
		"of none":         {"", packed(t, a), ""},
	} {
		if got := c.of.Also(c.with); got != c.want {
			t.Errorf("%s: %q, want %q", name, got.IDs(), c.want.IDs())
		}
	}
}

func TestMalformedPackedKeysAreNoKeys(t *testing.T) {
	p := packed(t, signer(t, jws.ES256).Public(), signer(t, jws.EdDSA).Public())
	for n := range len(p) {
		cut := p[:n]
		if whole := len(packed(t, mustKey(t, p))); cut.Valid() != (n == 0 || n == whole) {
			t.Errorf("the first %d of %d bytes: valid %t", n, len(p), cut.Valid())
		}
	}
	if bad := "\x09" + p; bad.Valid() || len(bad.IDs()) > 0 {
		t.Error("an unknown algorithm is valid")
	}
}

// mustKey is the first of some keys.
func mustKey(t testing.TB, p jws.PackedKeys) jws.PublicKey {
	t.Helper()
	key, err := p.Key(jws.Header{Algorithm: jws.ES256, KeyID: p.IDs()[0]})
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// BenchmarkKey finds the last one of eight keys, and verifies with it.
func BenchmarkKey(b *testing.B) {
	for _, algorithm := range []jws.Algorithm{jws.ES256, jws.RS256, jws.EdDSA} {
		var keys []jws.PublicKey
		for range 8 {
			keys = append(keys, signer(b, algorithm).Public())
		}
		set, p := jws.KeySet{Keys: keys}, packed(b, keys...)
		header := jws.Header{Algorithm: algorithm, KeyID: keys[7].ID}
		for name, find := range map[string]func(jws.Header) (jws.PublicKey, error){"parsed": set.Key, "packed": p.Key} {
			b.Run(string(algorithm)+"/"+name, func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					if _, err := find(header); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}
