// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package jws_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"math/rand/v2"
	"testing"

	"github.com/hallpass-dev/hallpass/internal/jws"
)

// TestForgeriesAreRefused mutates sound tokens at random, ten thousand times an algorithm;
// TestNoOtherStringIsTheToken does it exhaustively for one. Whatever got through, three other
// libraries would have to accept as well, and the payload would have to be the one that was signed.
func TestForgeriesAreRefused(t *testing.T) {
	mutations := 10_000
	if testing.Short() {
		mutations = 1_000
	}
	random := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // mutations are to be repeatable
	for _, algorithm := range []jws.Algorithm{jws.ES256, jws.RS256, jws.EdDSA} {
		t.Run(string(algorithm), func(t *testing.T) {
			s := signer(t, algorithm)
			token := sign(t, s, `{"sub":"somebody","exp":1300819380}`)
			other := sign(t, s, `{"sub":"somebody else","exp":1300819380}`)
			othersAccept(t, token, s.Public(), []byte(`{"sub":"somebody","exp":1300819380}`))
			for range mutations {
				forged := mutate(random, token, other)
				if forged == token || forged == other {
					continue
				}
				if payload, ok := accepted(forged, s.Public()); ok {
					t.Errorf("accepted with payload %q: %s", payload, forged)
					othersAccept(t, forged, s.Public(), payload)
				}
			}
		})
	}
}

// mutate changes some characters of a token, or joins the head of one to the tail of another.
func mutate(random *rand.Rand, token, other string) string {
	if random.IntN(4) == 0 {
		at := random.IntN(len(token))
		return token[:at] + other[min(at, len(other)):]
	}
	forged := []byte(token)
	for range 1 + random.IntN(3) {
		forged[random.IntN(len(forged))] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_."[random.IntN(65)]
	}
	return string(forged)
}

// TestAPublicKeyIsNoSharedSecret signs with HS256 and every form in which a verifier may hold its
// public key: the attack of CVE-2015-9235.
func TestAPublicKeyIsNoSharedSecret(t *testing.T) {
	encode := base64.RawURLEncoding.EncodeToString
	for _, algorithm := range []jws.Algorithm{jws.ES256, jws.RS256, jws.EdDSA} {
		key := signer(t, algorithm).Public()
		der, err := x509.MarshalPKIXPublicKey(key.Key)
		if err != nil {
			t.Fatal(err)
		}
		for form, secret := range map[string][]byte{
			"DER": der, "PEM": pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}), "JWK set": keySet(t, key), "nothing": {},
		} {
			for _, named := range []string{"HS256", string(algorithm)} {
				input := encode([]byte(`{"alg":"`+named+`","kid":"`+key.ID+`"}`)) + "." + encode([]byte(`{}`))
				mac := hmac.New(sha256.New, secret)
				mac.Write([]byte(input))
				if _, ok := accepted(input+"."+encode(mac.Sum(nil)), key); ok {
					t.Errorf("%s: a token signed with the public key as %s under alg %s is accepted", algorithm, form, named)
				}
			}
		}
	}
}
