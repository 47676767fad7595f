// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package jws_test

import (
	"crypto/rsa"
	"errors"
	"testing"

	"github.com/go-jose/go-jose/v4"
	"github.com/golang-jwt/jwt/v5"
	"github.com/lestrrat-go/jwx/v3/jwa"
	jwx "github.com/lestrrat-go/jwx/v3/jws"

	"github.com/hallpass-dev/hallpass/internal/jws"
)

// FuzzVerify looks for a token that Verify accepts and another library refuses: whatever our reader
// lets through, go-jose, golang-jwt and jwx have to let through with the same payload.
func FuzzVerify(f *testing.F) {
	var keys []jws.PublicKey
	var signers []*jws.Signer
	for _, algorithm := range []jws.Algorithm{jws.ES256, jws.RS256, jws.EdDSA} {
		s := signer(f, algorithm)
		keys, signers = append(keys, s.Public()), append(signers, s)
		f.Add(sign(f, s, `{"sub":"a"}`))
		f.Add(withHeader(sign(f, s, `{}`), `{"alg":"none"}`))
		f.Add(withHeader(sign(f, s, `{}`), `{"alg":"HS256"}`))
	}
	for _, example := range []func(testing.TB) (jws.PublicKey, string){rfc7515A2, rfc7515A3, rfc8037A4} {
		key, token := example(f)
		keys = append(keys, key)
		f.Add(token)
	}
	pss, ok := private(f, jws.RS256).(*rsa.PrivateKey)
	if !ok {
		f.Fatal("not an RSA key")
	}
	keys = append(keys, jws.PublicKey{Algorithm: jws.PS256, Key: pss.Public()})
	f.Add(withPSS(f, pss, `{"sub":"a"}`, rsa.PSSSaltLengthEqualsHash))
	f.Add("..")
	f.Add("")
	f.Fuzz(func(t *testing.T, token string) {
		for _, key := range keys {
			if payload, ok := accepted(token, key); ok {
				othersAccept(t, token, key, payload)
			}
		}
		for _, s := range signers {
			if _, valid := accepted(token, s.Public()); own(token, s) && !valid {
				t.Errorf("%q is taken for a signer's own and is not valid", token)
			}
		}
	})
}

// othersAccept fails the test for each library that does not read the same payload.
func othersAccept(t *testing.T, token string, key jws.PublicKey, payload []byte) {
	t.Helper()
	for name, verify := range map[string]func(string, jws.PublicKey) ([]byte, error){
		"go-jose": withGoJOSE, "golang-jwt": withGolangJWT, "jwx": withJWX,
	} {
		if theirs, err := verify(token, key); err != nil || string(theirs) != string(payload) {
			t.Errorf("we accept %q, %s says %v with payload %q", token, name, err, theirs)
		}
	}
}

func withGoJOSE(token string, key jws.PublicKey) ([]byte, error) {
	parsed, err := jose.ParseSignedCompact(token, []jose.SignatureAlgorithm{jose.SignatureAlgorithm(key.Algorithm)})
	if err != nil {
		return nil, err
	}
	return parsed.Verify(key.Key)
}

func withGolangJWT(token string, key jws.PublicKey) ([]byte, error) {
	parser := jwt.NewParser(jwt.WithValidMethods([]string{string(key.Algorithm)}), jwt.WithoutClaimsValidation())
	parsed, parts, err := parser.ParseUnverified(token, jwt.MapClaims{})
	if err != nil {
		// it reads claims alone; a payload that is no JSON object is none of its business
		return withGoJOSE(token, key)
	}
	signature, err := parser.DecodeSegment(parts[2])
	if err != nil {
		return nil, err
	}
	if err := parsed.Method.Verify(parts[0]+"."+parts[1], signature, key.Key); err != nil {
		return nil, err
	}
	return parser.DecodeSegment(parts[1])
}

func withJWX(token string, key jws.PublicKey) ([]byte, error) {
	algorithm, ok := jwa.LookupSignatureAlgorithm(string(key.Algorithm))
	if !ok {
		return nil, jws.ErrMalformed
	}
	return jwx.Verify([]byte(token), jwx.WithKey(algorithm, key.Key))
}

// FuzzParse looks for a string that makes the reader panic, or that it reads although it is not the
// canonical form.
func FuzzParse(f *testing.F) {
	_, token := rfc7515A3(f)
	for _, seed := range []string{token, "", "..", "a.b.c", "eyJhbGciOiJFUzI1NiJ9..", token + "\n", "." + token} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		message, err := jws.Parse(s)
		if err != nil {
			return
		}
		if len(s) > jws.MaxSize {
			t.Errorf("%d bytes were read", len(s))
		}
		switch message.Header.Algorithm {
		case jws.ES256, jws.RS256, jws.PS256, jws.EdDSA:
		default:
			t.Errorf("algorithm %q was read", message.Header.Algorithm)
		}
	})
}

// FuzzParseKeySet looks for a set that makes the reader panic, that holds a key which does not fit,
// or which does not come back from its own rendering.
func FuzzParseKeySet(f *testing.F) {
	f.Add([]byte(`{"keys":[]}`))
	f.Add([]byte(`{"keys":[{"kty":"EC","crv":"P-256","x":"","y":""}]}`))
	for _, algorithm := range []jws.Algorithm{jws.ES256, jws.RS256, jws.EdDSA} {
		f.Add(keySet(f, signer(f, algorithm).Public()))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		set, err := jws.ParseKeySet(raw)
		if err != nil {
			if !errors.Is(err, jws.ErrKeySet) || len(set.Keys) > 0 {
				t.Errorf("%v with %d keys", err, len(set.Keys))
			}
			return
		}
		for _, key := range set.Keys {
			if err := key.Check(); err != nil || key.ID == "" {
				t.Errorf("key %q: %v", key.ID, err)
			}
			again, err := jws.ParseKeySet(keySet(t, key))
			if err != nil || len(again.Keys) != 1 || again.Keys[0].ID != key.ID || again.Keys[0].Algorithm != key.Algorithm {
				t.Errorf("read again: %+v (%v), want %+v", again, err, key)
			}
		}
	})
}
