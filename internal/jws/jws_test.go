// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package jws_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hallpass-dev/hallpass/internal/jws"
	"github.com/hallpass-dev/hallpass/internal/strictjson"
)

func decode(t testing.TB, s string) []byte {
	t.Helper()
	raw, err := base64.RawURLEncoding.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func integer(t testing.TB, s string) *big.Int { return new(big.Int).SetBytes(decode(t, s)) }

// The key and the token of RFC 7515 appendix A.3, ES256.
func rfc7515A3(t testing.TB) (jws.PublicKey, string) {
	key, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), append(append([]byte{4},
		decode(t, "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU")...), decode(t, "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0")...))
	if err != nil {
		t.Fatal(err)
	}
	return jws.PublicKey{Algorithm: jws.ES256, Key: key},
		"eyJhbGciOiJFUzI1NiJ9" +
			".eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ" +
			".DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q"
}

// The key and the token of RFC 8037 appendix A.4, Ed25519.
func rfc8037A4(t testing.TB) (jws.PublicKey, string) {
	return jws.PublicKey{Algorithm: jws.EdDSA, Key: ed25519.PublicKey(decode(t, "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"))},
		"eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc" +
			".hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg"
}

// The key and the token of RFC 7515 appendix A.2, RS256.
func rfc7515A2(t testing.TB) (jws.PublicKey, string) {
	return jws.PublicKey{Algorithm: jws.RS256, Key: &rsa.PublicKey{E: 65537, N: integer(t,
			"ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRP"+
				"EwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5Zw"+
				"Kh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ")}},
		"eyJhbGciOiJSUzI1NiJ9" +
			".eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ" +
			".cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4" +
			"BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqv" +
			"hJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw"
}

func TestTheExamplesOfTheRFCsVerify(t *testing.T) {
	for name, example := range map[string]func(testing.TB) (jws.PublicKey, string){
		"RFC 7515 A.2": rfc7515A2, "RFC 7515 A.3": rfc7515A3, "RFC 8037 A.4": rfc8037A4,
	} {
		t.Run(name, func(t *testing.T) {
			key, token := example(t)
			message, err := jws.Parse(token)
			if err != nil {
				t.Fatal(err)
			}
			payload, err := message.Verify(key)
			if err != nil {
				t.Fatal(err)
			}
			if want := decode(t, strings.Split(token, ".")[1]); string(payload) != string(want) {
				t.Errorf("payload %q, want %q", payload, want)
			}
		})
	}
}

func TestThumbprintsAreThoseOfTheRFCs(t *testing.T) {
	rsaKey := &rsa.PublicKey{E: 65537, N: integer(t, "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw")}
	edKey, _ := rfc8037A4(t)
	for name, c := range map[string]struct {
		key  crypto.PublicKey
		want string
	}{
		"RFC 7638 section 3.1, RSA":      {rsaKey, "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"},
		"RFC 8037 appendix A.3, Ed25519": {edKey.Key, "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := jws.Thumbprint(c.key)
			if err != nil || got != c.want {
				t.Errorf("thumbprint %q (%v), want %q", got, err, c.want)
			}
		})
	}
}

// private makes a key of each algorithm.
func private(t testing.TB, algorithm jws.Algorithm) crypto.Signer {
	t.Helper()
	var key crypto.Signer
	var err error
	switch algorithm {
	case jws.ES256:
		key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case jws.RS256, jws.PS256:
		key, err = rsa.GenerateKey(rand.Reader, jws.MinRSABits)
	case jws.EdDSA:
		_, key, err = ed25519.GenerateKey(rand.Reader)
	}
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func signer(t testing.TB, algorithm jws.Algorithm) *jws.Signer {
	t.Helper()
	s, err := jws.NewSigner(algorithm, private(t, algorithm))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func sign(t testing.TB, s *jws.Signer, payload string) string {
	t.Helper()
	token, err := s.Sign("at+jwt", []byte(payload))
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// accepted returns the payload of a token that verifies with a key.
func accepted(token string, key jws.PublicKey) ([]byte, bool) {
	message, err := jws.Parse(token)
	if err != nil {
		return nil, false
	}
	payload, err := message.Verify(key)
	return payload, err == nil
}

func TestWhatIsSignedVerifiesWithItsOwnKeyAlone(t *testing.T) {
	signers := map[jws.Algorithm]*jws.Signer{}
	for _, algorithm := range []jws.Algorithm{jws.ES256, jws.RS256, jws.EdDSA} {
		signers[algorithm] = signer(t, algorithm)
	}
	for algorithm, s := range signers {
		token := sign(t, s, `{"sub":"a"}`)
		message, err := jws.Parse(token)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(jws.Header{Algorithm: algorithm, KeyID: s.Public().ID, Type: "at+jwt"}, message.Header); diff != "" {
			t.Errorf("header (-want +got):\n%s", diff)
		}
		for other, verifier := range signers {
			payload, ok := accepted(token, verifier.Public())
			if ok != (other == algorithm) || ok && string(payload) != `{"sub":"a"}` {
				t.Errorf("a token of %s with the key of %s: accepted %t, payload %q", algorithm, other, ok, payload)
			}
		}
		if _, ok := accepted(token, signer(t, algorithm).Public()); ok {
			t.Errorf("another key of %s accepts the token", algorithm)
		}
	}
}

func TestAKeyThatDoesNotFitItsAlgorithmIsRefused(t *testing.T) {
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("GODEBUG", "rsa1024min=0")
	small, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	for name, key := range map[string]jws.PublicKey{
		"P-384 for ES256":              {Algorithm: jws.ES256, Key: p384.Public()},
		"RSA of 1024 bits":             {Algorithm: jws.RS256, Key: small.Public()},
		"an ECDSA key for RS256":       {Algorithm: jws.RS256, Key: private(t, jws.ES256).Public()},
		"an RSA key for ES256":         {Algorithm: jws.ES256, Key: private(t, jws.RS256).Public()},
		"an unknown algorithm":         {Algorithm: "HS256", Key: private(t, jws.ES256).Public()},
		"a symmetric key":              {Algorithm: "HS256", Key: []byte("secret")},
		"no key":                       {Algorithm: jws.ES256},
		"an Ed25519 key of odd length": {Algorithm: jws.EdDSA, Key: ed25519.PublicKey("short")},
		"an RSA key without modulus":   {Algorithm: jws.RS256, Key: &rsa.PublicKey{E: 65537}},
		"an even RSA modulus":          {Algorithm: jws.PS256, Key: &rsa.PublicKey{E: 65537, N: new(big.Int).Lsh(big.NewInt(1), 2047)}},
		"an RSA exponent of one":       {Algorithm: jws.PS256, Key: &rsa.PublicKey{E: 1, N: odd(2048)}},
		"an even RSA exponent":         {Algorithm: jws.RS256, Key: &rsa.PublicKey{E: 65536, N: odd(2048)}},
	} {
		t.Run(name, func(t *testing.T) {
			if err := key.Check(); !errors.Is(err, jws.ErrWeakKey) {
				t.Errorf("%v, want ErrWeakKey", err)
			}
		})
	}
}

func TestAnRSAKeyThatIsExpensiveToVerifyWithIsRefused(t *testing.T) {
	for name, c := range map[string]struct {
		key  *rsa.PublicKey
		want error
	}{
		"4096 bits":                       {&rsa.PublicKey{E: 65537, N: odd(4096)}, nil},
		"4097 bits":                       {&rsa.PublicKey{E: 65537, N: odd(4097)}, jws.ErrCostlyKey},
		"8192 bits":                       {&rsa.PublicKey{E: 65537, N: odd(8192)}, jws.ErrCostlyKey},
		"an exponent of 31 bits":          {&rsa.PublicKey{E: 1<<31 - 1, N: odd(2048)}, jws.ErrCostlyKey},
		"an exponent of three":            {&rsa.PublicKey{E: 3, N: odd(2048)}, jws.ErrCostlyKey},
		"the next exponent after 65537":   {&rsa.PublicKey{E: 65539, N: odd(2048)}, jws.ErrCostlyKey},
		"the last exponent before 65537":  {&rsa.PublicKey{E: 65535, N: odd(2048)}, jws.ErrCostlyKey},
		"8192 bits with an even exponent": {&rsa.PublicKey{E: 65536, N: odd(8192)}, jws.ErrWeakKey},
	} {
		for _, algorithm := range []jws.Algorithm{jws.RS256, jws.PS256} {
			if err := (jws.PublicKey{Algorithm: algorithm, Key: c.key}).Check(); !errors.Is(err, c.want) {
				t.Errorf("%s for %s: %v, want %v", name, algorithm, err, c.want)
			}
		}
	}
}

// odd is an odd number of that many bits.
func odd(bits uint) *big.Int { return new(big.Int).SetBit(big.NewInt(1), int(bits)-1, 1) }

func TestPS256IsVerifiedAndNotMade(t *testing.T) {
	private, ok := private(t, jws.RS256).(*rsa.PrivateKey)
	if !ok {
		t.Fatal("not an RSA key")
	}
	if _, err := jws.NewSigner(jws.PS256, private); !errors.Is(err, jws.ErrWeakKey) {
		t.Errorf("a signer for PS256: %v, want ErrWeakKey", err)
	}
	token := withPSS(t, private, `{"sub":"a"}`, rsa.PSSSaltLengthEqualsHash)
	if payload, ok := accepted(token, jws.PublicKey{Algorithm: jws.PS256, Key: private.Public()}); !ok || string(payload) != `{"sub":"a"}` {
		t.Errorf("accepted %t, payload %q", ok, payload)
	}
	for name, refused := range map[string]struct {
		token string
		key   jws.PublicKey
	}{
		"the same key for RS256":               {token, jws.PublicKey{Algorithm: jws.RS256, Key: private.Public()}},
		"its header changed to RS256":          {withHeader(token, `{"alg":"RS256"}`), jws.PublicKey{Algorithm: jws.RS256, Key: private.Public()}},
		"a salt of another length (RFC 7518)":  {withPSS(t, private, `{}`, 20), jws.PublicKey{Algorithm: jws.PS256, Key: private.Public()}},
		"a salt as long as there is room for":  {withPSS(t, private, `{}`, rsa.PSSSaltLengthAuto), jws.PublicKey{Algorithm: jws.PS256, Key: private.Public()}},
		"another key":                          {token, jws.PublicKey{Algorithm: jws.PS256, Key: signer(t, jws.RS256).Public().Key}},
		"a key of another kind said to be one": {token, jws.PublicKey{Algorithm: jws.PS256, Key: signer(t, jws.ES256).Public().Key}},
	} {
		if _, ok := accepted(refused.token, refused.key); ok {
			t.Errorf("%s: accepted", name)
		}
	}
}

// withPSS makes a PS256 token with a salt of that length.
func withPSS(t testing.TB, key *rsa.PrivateKey, payload string, salt int) string {
	t.Helper()
	encode := base64.RawURLEncoding.EncodeToString
	input := encode([]byte(`{"alg":"PS256"}`)) + "." + encode([]byte(payload))
	digest := sha256.Sum256([]byte(input))
	signature, err := rsa.SignPSS(rand.Reader, key, crypto.SHA256, digest[:], &rsa.PSSOptions{SaltLength: salt})
	if err != nil {
		t.Fatal(err)
	}
	return input + "." + encode(signature)
}

// header renders a protected header of any shape around a valid payload and the signature of
// another token.
func withHeader(token, header string) string {
	parts := strings.Split(token, ".")
	return base64.RawURLEncoding.EncodeToString([]byte(header)) + "." + parts[1] + "." + parts[2]
}

func TestAHeaderThatAsksForAnythingElseIsRefused(t *testing.T) {
	s := signer(t, jws.ES256)
	token := sign(t, s, `{}`)
	for name, header := range map[string]string{
		"no algorithm":               `{"kid":"k"}`,
		"none":                       `{"alg":"none"}`,
		"None":                       `{"alg":"None"}`,
		"a shared key":               `{"alg":"HS256"}`,
		"another case":               `{"alg":"es256"}`,
		"a number":                   `{"alg":256}`,
		"null":                       `{"alg":null}`,
		"an algorithm twice":         `{"alg":"none","alg":"ES256"}`,
		"crit":                       `{"alg":"ES256","crit":["exp"]}`,
		"a key":                      `{"alg":"ES256","jwk":{}}`,
		"the address of keys":        `{"alg":"ES256","jku":"https://evil.example"}`,
		"the address of a chain":     `{"alg":"ES256","x5u":"https://evil.example"}`,
		"a chain":                    `{"alg":"ES256","x5c":[]}`,
		"compression":                `{"alg":"ES256","zip":"DEF"}`,
		"encryption":                 `{"alg":"ES256","enc":"A256GCM"}`,
		"an unencoded payload":       `{"alg":"ES256","b64":false}`,
		"a type that is no string":   `{"alg":"ES256","typ":["at+jwt"]}`,
		"a key id that is no string": `{"alg":"ES256","kid":1}`,
		"an array":                   `["ES256"]`,
		"something behind it":        `{"alg":"ES256"} {}`,
		"nothing":                    ``,
		"not JSON":                   `alg: ES256`,
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := jws.Parse(withHeader(token, header)); !errors.Is(err, jws.ErrMalformed) {
				t.Errorf("%v, want ErrMalformed", err)
			}
		})
	}
}

func TestNoOtherStringIsTheToken(t *testing.T) {
	s := signer(t, jws.ES256)
	token := sign(t, s, `{"sub":"somebody"}`)
	if _, ok := accepted(token, s.Public()); !ok {
		t.Fatal("the token itself is refused")
	}
	refuse := func(what, other string) {
		if _, ok := accepted(other, s.Public()); ok && other != token {
			t.Errorf("%s is accepted: %s", what, other)
		}
		if own(other, s) && other != token {
			t.Errorf("%s is taken for our own: %s", what, other)
		}
	}
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.=+/ \n"
	for i := range token {
		refuse("a prefix", token[:i])
		refuse("a suffix", token[i+1:])
		refuse("a token without a character", token[:i]+token[i+1:])
		for _, c := range alphabet {
			refuse("a changed character", token[:i]+string(c)+token[i+1:])
			refuse("an inserted character", token[:i]+string(c)+token[i:])
		}
		for bit := range 8 {
			flipped := []byte(token)
			flipped[i] ^= 1 << bit
			refuse("a flipped bit", string(flipped))
		}
	}
	refuse("the token twice", token+"."+token)
	refuse("JSON serialisation", `{"payload":"e30","signatures":[]}`)
}

func TestPsychicSignaturesAreRefused(t *testing.T) {
	key, token := rfc7515A3(t)
	input := token[:strings.LastIndex(token, ".")+1]
	order := elliptic.P256().Params().N.FillBytes(make([]byte, 32))
	for name, signature := range map[string][]byte{
		"zeros":     make([]byte, 64),
		"the order": append(append([]byte{}, order...), order...),
		"r zero":    append(make([]byte, 32), order...),
		"short":     make([]byte, 63),
		"long":      make([]byte, 65),
		"ASN.1":     {0x30, 0x06, 0x02, 0x01, 0x00, 0x02, 0x01, 0x00},
	} {
		t.Run(name, func(t *testing.T) {
			if _, ok := accepted(input+base64.RawURLEncoding.EncodeToString(signature), key); ok {
				t.Error("accepted")
			}
		})
	}
}

func TestALargeInputIsRefusedBeforeItCosts(t *testing.T) {
	dots := strings.Repeat(".", 1<<20)
	result := testing.Benchmark(func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := jws.Parse(dots); err == nil {
				b.Fatal("accepted")
			}
		}
	})
	if result.AllocedBytesPerOp() > 16<<10 {
		t.Errorf("%d bytes are allocated for a token of a million dots, want at most 16 KiB", result.AllocedBytesPerOp())
	}
}

func TestKeysArePublishedWithoutTheirPrivateHalf(t *testing.T) {
	for _, algorithm := range []jws.Algorithm{jws.ES256, jws.RS256, jws.EdDSA} {
		s := signer(t, algorithm)
		jwk, err := s.Public().JWK()
		if err != nil {
			t.Fatal(err)
		}
		rendered, err := json.Marshal(jwk)
		if err != nil {
			t.Fatal(err)
		}
		members, err := strictjson.ParseObject(string(rendered))
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"d", "p", "q", "dp", "dq", "qi", "k"} {
			if _, there := members[name]; there {
				t.Errorf("%s: the private member %q is published", algorithm, name)
			}
		}
		if jwk.KeyID != s.Public().ID || jwk.Use != "sig" || jwk.Algorithm != algorithm {
			t.Errorf("%s: published as %+v", algorithm, jwk)
		}
	}
}

func TestATokenIsAppendedToWhatIsThere(t *testing.T) {
	for _, algorithm := range []jws.Algorithm{jws.ES256, jws.RS256, jws.EdDSA} {
		s := signer(t, algorithm)
		out, err := s.AppendSigned([]byte("before "), "at+jwt", []byte(`{}`))
		if err != nil {
			t.Fatal(err)
		}
		if token, ok := strings.CutPrefix(string(out), "before "); !ok || token != sign(t, s, `{}`) {
			t.Errorf("%s: %q is not the deterministic token after what was there", algorithm, out)
		}
	}
}

func TestSigningTwiceIsTheSameToken(t *testing.T) {
	s := signer(t, jws.ES256)
	for i := range 300 { // so that r and s come with leading zeros too
		payload := fmt.Sprintf(`{"jti":"%d"}`, i)
		token := sign(t, s, payload)
		if token != sign(t, s, payload) {
			t.Fatal("ES256 signatures are not deterministic")
		}
		if _, ok := accepted(token, s.Public()); !ok {
			t.Fatalf("%s is refused", token)
		}
	}
}
