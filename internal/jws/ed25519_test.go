// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package jws_test

import (
	"strings"
	"testing"

	"github.com/hallpass-dev/hallpass/internal/jws"
)

// RFC 9864 gave EdDSA with Ed25519 another name: the key is the same, and so is the signature.
func TestEd25519HasTwoNames(t *testing.T) {
	private := private(t, jws.EdDSA)
	for _, name := range []jws.Algorithm{jws.EdDSA, jws.Ed25519} {
		s, err := jws.NewSigner(name, private)
		if err != nil {
			t.Fatal(err)
		}
		token := sign(t, s, `{"sub":"a"}`)
		segment, _, _ := strings.Cut(token, ".")
		header, err := jws.DecodeBase64URL(segment)
		if err != nil {
			t.Fatal(err)
		}
		if got := string(header); !strings.Contains(got, `{"alg":"`+string(name)+`",`) {
			t.Errorf("the header of a token of %s is %s", name, got)
		}
		message, err := jws.Parse(token)
		if err != nil || message.Header.Algorithm != jws.EdDSA {
			t.Fatalf("%s is read as %s: %v", name, message.Header.Algorithm, err)
		}
		set := string(keySet(t, s.Public()))
		if !strings.Contains(set, `"alg":"`+string(name)+`"`) {
			t.Errorf("the key of %s is published as %s", name, set)
		}
		for _, of := range []jws.Algorithm{jws.EdDSA, jws.Ed25519} {
			key := jws.PublicKey{ID: s.Public().ID, Algorithm: of, Key: private.Public()}
			if _, ok := accepted(token, key); !ok {
				t.Errorf("a key of %s refuses a token of %s", of, name)
			}
			again, err := jws.NewSigner(of, private)
			if err != nil {
				t.Fatal(err)
			}
			if !own(token, again) {
				t.Errorf("a signer of %s refuses a token of %s", of, name)
			}
			read, err := jws.ParseKeySet(keySet(t, key))
			if err != nil {
				t.Fatal(err)
			}
			packed, err := jws.PackKeys(key)
			if err != nil {
				t.Fatal(err)
			}
			for _, find := range []func(jws.Header) (jws.PublicKey, error){jws.KeySet{Keys: []jws.PublicKey{key}}.Key, read.Key, packed.Key} {
				if found, err := find(message.Header); err != nil || found.Check() != nil {
					t.Errorf("a set with a key of %s has none for a token of %s: %v", of, name, err)
				}
			}
		}
	}
	if _, err := jws.Parse(withHeader(sign(t, signer(t, jws.EdDSA), `{}`), `{"alg":"Ed448"}`)); err == nil {
		t.Error("the other curve of EdDSA is read")
	}
}

// The libraries that refuse the new name are the reason why the old one is the default.
func TestWhichLibrariesKnowTheNameEd25519(t *testing.T) {
	s, err := jws.NewSigner(jws.Ed25519, private(t, jws.EdDSA))
	if err != nil {
		t.Fatal(err)
	}
	token := sign(t, s, `{"sub":"a"}`)
	for name, library := range map[string]struct {
		verify func(string, jws.PublicKey) ([]byte, error)
		knows  bool
	}{
		"go-jose": {withGoJOSE, false}, "golang-jwt": {withGolangJWT, false}, "jwx": {withJWX, true},
	} {
		if _, err := library.verify(token, s.Public()); (err == nil) != library.knows {
			t.Errorf("%s: %v; if this has changed, correct docs/signing-keys.md", name, err)
		}
	}
}
