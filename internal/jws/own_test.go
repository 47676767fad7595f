// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package jws_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/asn1"
	"encoding/base64"
	"encoding/hex"
	"math/big"
	"strings"
	"testing"

	"github.com/hallpass-dev/hallpass/internal/jws"
)

// own reports whether a signer takes a token for its own.
func own(token string, s *jws.Signer) bool {
	message, err := jws.Parse(token)
	if err != nil {
		return false
	}
	_, err = s.Verify(message)
	return err == nil
}

func TestASignerKnowsItsOwnSignaturesAlone(t *testing.T) {
	signers := map[jws.Algorithm]*jws.Signer{}
	for _, algorithm := range []jws.Algorithm{jws.ES256, jws.RS256, jws.EdDSA} {
		signers[algorithm] = signer(t, algorithm)
	}
	for algorithm, s := range signers {
		token := sign(t, s, `{"sub":"a"}`)
		for other, verifier := range signers {
			if own(token, verifier) != (other == algorithm) {
				t.Errorf("a token of %s: its own to the signer of %s is %t", algorithm, other, own(token, verifier))
			}
		}
		if own(token, signer(t, algorithm)) {
			t.Errorf("another signer of %s takes the token for its own", algorithm)
		}
		if own(token[:strings.LastIndexByte(token, '.')+1], s) {
			t.Errorf("%s: no signature at all is accepted", algorithm)
		}
	}
}

// TestAValidSignatureThatWasNotMadeHereIsRefused: each ES256 signature has a twin that every
// verifier accepts, and a holder of the key could make others with other randomness.
func TestAValidSignatureThatWasNotMadeHereIsRefused(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	s, err := jws.NewSigner(jws.ES256, key)
	if err != nil {
		t.Fatal(err)
	}
	token := sign(t, s, `{"sub":"a"}`)
	input, encoded := token[:strings.LastIndexByte(token, '.')], token[strings.LastIndexByte(token, '.')+1:]
	with := func(raw []byte) string { return input + "." + base64.RawURLEncoding.EncodeToString(raw) }

	twin := decode(t, encoded)
	order := elliptic.P256().Params().N
	new(big.Int).Sub(order, new(big.Int).SetBytes(twin[32:])).FillBytes(twin[32:])

	digest := sha256.Sum256([]byte(input))
	der, err := key.Sign(rand.Reader, digest[:], crypto.SHA256)
	if err != nil {
		t.Fatal(err)
	}
	var numbers struct{ R, S *big.Int }
	if _, err := asn1.Unmarshal(der, &numbers); err != nil {
		t.Fatal(err)
	}
	random := make([]byte, 64)
	numbers.R.FillBytes(random[:32])
	numbers.S.FillBytes(random[32:])

	for what, other := range map[string]string{"the twin": with(twin), "one made with randomness": with(random)} {
		if _, valid := accepted(other, s.Public()); !valid {
			t.Errorf("%s is not valid at all, so this test says nothing", what)
		}
		if own(other, s) {
			t.Errorf("%s is taken for our own", what)
		}
	}
}

// TestSignaturesAreThoseOfRFC6979 pins what Signer.Verify rests on: replicas of different builds
// make the same signatures. The vector is that of appendix A.2.5 for the message "sample".
func TestSignaturesAreThoseOfRFC6979(t *testing.T) {
	scalar, err := hex.DecodeString("C9AFA9D845BA75166B5C215767B1D6934E50C3DB36E89B127B8A622B120F6721")
	if err != nil {
		t.Fatal(err)
	}
	key, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), scalar)
	if err != nil {
		t.Fatal(err)
	}
	digest := sha256.Sum256([]byte("sample"))
	der, err := key.Sign(nil, digest[:], crypto.SHA256)
	if err != nil {
		t.Fatal(err)
	}
	const want = "3046" +
		"022100EFD48B2AACB6A8FD1140DD9CD45E81D69D2C877B56AAF991C34D0EA84EAF3716" +
		"022100F7CB1C942D657C41D436C7A1B6E29F65F3E900DBB9AFF4064DC4AB2F843ACDA8"
	if got := strings.ToUpper(hex.EncodeToString(der)); got != want {
		t.Errorf("%s, want %s", got, want)
	}
}
