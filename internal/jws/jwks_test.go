// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package jws_test

import (
	"crypto/rsa"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/hallpass-dev/hallpass/internal/jws"
)

// keySet renders keys as a JWK set.
func keySet(t testing.TB, keys ...jws.PublicKey) []byte {
	t.Helper()
	set := map[string][]jws.JWK{"keys": {}}
	for _, key := range keys {
		jwk, err := key.JWK()
		if err != nil {
			t.Fatal(err)
		}
		set["keys"] = append(set["keys"], jwk)
	}
	rendered, err := json.Marshal(set)
	if err != nil {
		t.Fatal(err)
	}
	return rendered
}

// withMembers renders a set of one key after its members were changed; nil takes a member away.
func withMembers(t testing.TB, key jws.PublicKey, change map[string]any) []byte {
	t.Helper()
	var set struct {
		Keys []map[string]any `json:"keys"`
	}
	if err := json.Unmarshal(keySet(t, key), &set); err != nil {
		t.Fatal(err)
	}
	maps.Copy(set.Keys[0], change)
	maps.DeleteFunc(set.Keys[0], func(_ string, value any) bool { return value == nil })
	rendered, err := json.Marshal(set)
	if err != nil {
		t.Fatal(err)
	}
	return rendered
}

func TestAKeySetComesBackFromItsRendering(t *testing.T) {
	var keys []jws.PublicKey
	tokens := map[string]string{}
	for _, algorithm := range []jws.Algorithm{jws.ES256, jws.RS256, jws.EdDSA} {
		s := signer(t, algorithm)
		keys = append(keys, s.Public())
		tokens[s.Public().ID] = sign(t, s, `{}`)
	}
	set, err := jws.ParseKeySet(keySet(t, keys...))
	if err != nil || len(set.Keys) != len(keys) || len(set.Unusable) > 0 {
		t.Fatalf("%d keys, unusable %v (%v), want %d", len(set.Keys), set.Unusable, err, len(keys))
	}
	for kid, token := range tokens {
		message, err := jws.Parse(token)
		if err != nil {
			t.Fatal(err)
		}
		key, err := set.Key(message.Header)
		if err != nil || key.ID != kid {
			t.Fatalf("key %q (%v), want %q", key.ID, err, kid)
		}
		if _, err := message.Verify(key); err != nil {
			t.Error(err)
		}
	}
}

func TestAKeyIsFoundByItsKidAndItsAlgorithm(t *testing.T) {
	es, ed := signer(t, jws.ES256).Public(), signer(t, jws.EdDSA).Public()
	one, two := jws.KeySet{Keys: []jws.PublicKey{es}}, jws.KeySet{Keys: []jws.PublicKey{es, ed}}
	for name, c := range map[string]struct {
		set    jws.KeySet
		header jws.Header
		want   string
	}{
		"by its kid":                                {two, jws.Header{Algorithm: jws.EdDSA, KeyID: ed.ID}, ed.ID},
		"without a kid, as the only one":            {one, jws.Header{Algorithm: jws.ES256}, es.ID},
		"not without a kid among two":               {two, jws.Header{Algorithm: jws.ES256}, ""},
		"not under another algorithm":               {two, jws.Header{Algorithm: jws.ES256, KeyID: ed.ID}, ""},
		"not the only one with another algorithm":   {one, jws.Header{Algorithm: jws.EdDSA}, ""},
		"not the only one under another kid":        {one, jws.Header{Algorithm: jws.ES256, KeyID: "other"}, ""},
		"not in a set without keys":                 {jws.KeySet{}, jws.Header{Algorithm: jws.ES256}, ""},
		"not in a set without keys, not even by id": {jws.KeySet{}, jws.Header{Algorithm: jws.ES256, KeyID: es.ID}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			key, err := c.set.Key(c.header)
			if key.ID != c.want || (c.want == "") != errors.Is(err, jws.ErrNoKey) {
				t.Errorf("%q (%v), want %q", key.ID, err, c.want)
			}
		})
	}
}

func TestWhatAKeyLeavesOutHasAMeaning(t *testing.T) {
	thumbprint := func(key jws.PublicKey) string {
		id, err := jws.Thumbprint(key.Key)
		if err != nil {
			t.Fatal(err)
		}
		return id
	}
	ec, rsaKey, okp := signer(t, jws.ES256).Public(), signer(t, jws.RS256).Public(), signer(t, jws.EdDSA).Public()
	for name, c := range map[string]struct {
		document []byte
		want     jws.PublicKey
	}{
		"the curve says the algorithm":                {withMembers(t, ec, map[string]any{"alg": nil}), jws.PublicKey{ID: ec.ID, Algorithm: jws.ES256}},
		"an RSA key is for RS256":                     {withMembers(t, rsaKey, map[string]any{"alg": nil}), jws.PublicKey{ID: rsaKey.ID, Algorithm: jws.RS256}},
		"or for PS256 if it says so":                  {withMembers(t, rsaKey, map[string]any{"alg": "PS256"}), jws.PublicKey{ID: rsaKey.ID, Algorithm: jws.PS256}},
		"the new name of EdDSA is the same":           {withMembers(t, okp, map[string]any{"alg": "Ed25519"}), jws.PublicKey{ID: okp.ID, Algorithm: jws.EdDSA}},
		"the thumbprint is a kid":                     {withMembers(t, okp, map[string]any{"kid": nil}), jws.PublicKey{ID: thumbprint(okp), Algorithm: jws.EdDSA}},
		"a use is not needed":                         {withMembers(t, ec, map[string]any{"use": nil}), jws.PublicKey{ID: ec.ID, Algorithm: jws.ES256}},
		"operations may have more than verify":        {withMembers(t, ec, map[string]any{"key_ops": []string{"sign", "verify"}}), jws.PublicKey{ID: ec.ID, Algorithm: jws.ES256}},
		"members that nobody knows are passed over":   {withMembers(t, ec, map[string]any{"x5c": []string{"…"}, "iat": 1}), jws.PublicKey{ID: ec.ID, Algorithm: jws.ES256}},
		"a leading zero of an exponent says no more":  {withMembers(t, rsaKey, map[string]any{"e": "AAEAAQ"}), jws.PublicKey{ID: rsaKey.ID, Algorithm: jws.RS256}},
		"a kid may be any string, a long one as well": {withMembers(t, ec, map[string]any{"kid": strings.Repeat("k", 256)}), jws.PublicKey{ID: strings.Repeat("k", 256), Algorithm: jws.ES256}},
	} {
		t.Run(name, func(t *testing.T) {
			set, err := jws.ParseKeySet(c.document)
			if err != nil || len(set.Keys) != 1 {
				t.Fatalf("%+v (%v), want one key", set, err)
			}
			if got := set.Keys[0]; got.ID != c.want.ID || got.Algorithm != c.want.Algorithm {
				t.Errorf("%s for %s, want %s for %s", got.ID, got.Algorithm, c.want.ID, c.want.Algorithm)
			}
		})
	}
}

func TestAKeyThatIsNotForUsIsPassedOverWithAReason(t *testing.T) {
	ec := signer(t, jws.ES256).Public()
	for name, change := range map[string]map[string]any{
		"another curve":          {"crv": "P-384"},
		"another type":           {"kty": "AKP"},
		"another algorithm":      {"alg": "ES384"},
		"a key for encryption":   {"use": "enc"},
		"operations of another":  {"key_ops": []string{"encrypt"}},
		"an algorithm of RSA":    {"alg": "RS256"},
		"a curve of another key": {"crv": "Ed25519"},
	} {
		t.Run(name, func(t *testing.T) {
			set, err := jws.ParseKeySet(withMembers(t, ec, change))
			if err != nil || len(set.Keys) != 0 || len(set.Unusable) != 1 {
				t.Errorf("%+v (%v), want one unusable key", set, err)
			}
		})
	}
}

func TestAnExpensiveRSAKeyIsLeftOutOfItsSet(t *testing.T) {
	ec := signer(t, jws.ES256).Public()
	large := jws.PublicKey{ID: "large", Algorithm: jws.RS256, Key: &rsa.PublicKey{E: 65537, N: odd(8192)}}
	slow := jws.PublicKey{ID: "slow", Algorithm: jws.PS256, Key: &rsa.PublicKey{E: 1<<31 - 1, N: odd(2048)}}
	set, err := jws.ParseKeySet(keySet(t, large, ec, slow))
	if err != nil || len(set.Keys) != 1 || set.Keys[0].ID != ec.ID {
		t.Fatalf("%+v (%v), want the EC key alone", set, err)
	}
	if len(set.Unusable) != 2 {
		t.Fatalf("unusable: %v, want two", set.Unusable)
	}
	for i, want := range []string{"key 1: ", "key 3: "} {
		message := set.Unusable[i].Error()
		if !errors.Is(set.Unusable[i], jws.ErrCostlyKey) || !strings.HasPrefix(message, want) || !strings.Contains(message, "use 2048 to 4096 bits and exponent 65537") {
			t.Errorf("%s: it does not say which key it is and what to use", message)
		}
	}
}

func TestAKeySetIsRefusedWholeForOneKeyThatMustNotBeThere(t *testing.T) {
	ec, rsaKey, okp := signer(t, jws.ES256).Public(), signer(t, jws.RS256).Public(), signer(t, jws.EdDSA).Public()
	many := make([]jws.PublicKey, jws.MaxKeys+1)
	for i := range many {
		many[i] = jws.PublicKey{ID: fmt.Sprint(i), Algorithm: okp.Algorithm, Key: okp.Key}
	}
	for name, document := range map[string][]byte{
		"nothing":                          nil,
		"not an object":                    []byte(`[]`),
		"keys twice":                       []byte(`{"keys":[],"keys":[]}`),
		"no keys":                          []byte(`{"keys":[]}`),
		"keys that are null":               []byte(`{"keys":null}`),
		"keys that are no list":            []byte(`{"keys":{}}`),
		"a key that is a string":           []byte(`{"keys":["key"]}`),
		"a member twice in a key":          []byte(`{"keys":[{"kty":"EC","kty":"RSA"}]}`),
		"no kty":                           withMembers(t, ec, map[string]any{"kty": nil}),
		"too large":                        []byte(`{"keys":[` + strings.Repeat(" ", jws.MaxKeySetSize) + `]}`),
		"too many":                         keySet(t, many...),
		"one kid twice":                    keySet(t, ec, jws.PublicKey{ID: ec.ID, Algorithm: okp.Algorithm, Key: okp.Key}),
		"a kid that is a number":           withMembers(t, ec, map[string]any{"kid": 1}),
		"a kid that is too long":           withMembers(t, ec, map[string]any{"kid": strings.Repeat("k", 257)}),
		"a private EC key":                 withMembers(t, ec, map[string]any{"d": "AQ"}),
		"a private RSA key":                withMembers(t, rsaKey, map[string]any{"p": "AQ"}),
		"a private key, even if empty":     withMembers(t, okp, map[string]any{"d": ""}),
		"a shared key":                     withMembers(t, ec, map[string]any{"kty": "oct", "k": "AQ"}),
		"a point that is not on the curve": withMembers(t, ec, map[string]any{"x": strings.Repeat("A", 43)}),
		"a short x":                        withMembers(t, ec, map[string]any{"x": "AQ"}),
		"no y":                             withMembers(t, ec, map[string]any{"y": nil}),
		"padding":                          withMembers(t, okp, map[string]any{"x": strings.Repeat("A", 43) + "="}),
		"RSA of 1024 bits":                 withMembers(t, rsaKey, map[string]any{"n": strings.Repeat("_", 171)}),
		"an RSA exponent of one":           withMembers(t, rsaKey, map[string]any{"e": "AQ"}),
		"a long RSA exponent":              withMembers(t, rsaKey, map[string]any{"e": "_____w"}),
		"a line break in x":                withMembers(t, okp, map[string]any{"x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo\n"}),
		"a short Ed25519 key":              withMembers(t, okp, map[string]any{"x": "AQ"}),
	} {
		t.Run(name, func(t *testing.T) {
			set, err := jws.ParseKeySet(document)
			if !errors.Is(err, jws.ErrKeySet) || len(set.Keys) > 0 {
				t.Errorf("%v with %d keys, want ErrKeySet", err, len(set.Keys))
			}
		})
	}
}

// Of a SPIFFE bundle only the keys of JWT-SVIDs are read: those of X.509-SVIDs may be of any kind.
func TestABundleHasTheKeysOfJWTSVIDs(t *testing.T) {
	const key = `"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"`
	for name, c := range map[string]struct {
		keys string
		want []string
	}{
		"a key of each kind":            {`{"use":"x509-svid","kid":"x",` + key + `},{"use":"jwt-svid","kid":"j",` + key + `}`, []string{"j"}},
		"a weak key of X.509-SVIDs":     {`{"use":"x509-svid","kty":"RSA","n":"AQAB","e":"AQAB"},{"use":"jwt-svid","kid":"j",` + key + `}`, []string{"j"}},
		"two keys":                      {`{"use":"jwt-svid","kid":"a",` + key + `},{"use":"jwt-svid","kid":"b",` + key + `}`, []string{"a", "b"}},
		"a key without a use":           {`{"kid":"j",` + key + `}`, nil},
		"a key for signatures":          {`{"use":"sig","kid":"j",` + key + `}`, nil},
		"a key without a kid":           {`{"use":"jwt-svid",` + key + `}`, nil},
		"a key of a curve that is rare": {`{"use":"jwt-svid","kid":"j","kty":"EC","crv":"P-521","x":"a","y":"b"}`, nil},
	} {
		set, err := jws.ParseBundle([]byte(`{"spiffe_sequence":1,"keys":[` + c.keys + `]}`))
		var got []string
		for _, key := range set.Keys {
			got = append(got, key.ID)
		}
		if err != nil || !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, %v, want %v", name, got, err, c.want)
		}
	}
	for name, keys := range map[string]string{
		"a kid twice":   `{"use":"jwt-svid","kid":"a",` + key + `},{"use":"jwt-svid","kid":"a",` + key + `}`,
		"a weak key":    `{"use":"jwt-svid","kid":"a","kty":"RSA","n":"AQAB","e":"AQAB"}`,
		"a private key": `{"use":"jwt-svid","kid":"a","d":"x",` + key + `}`,
	} {
		if _, err := jws.ParseBundle([]byte(`{"keys":[` + keys + `]}`)); err == nil {
			t.Errorf("%s: it is read", name)
		}
	}
	if _, err := jws.ParseKeySet([]byte(`{"keys":[{"use":"jwt-svid","kid":"a",` + key + `}]}`)); err != nil {
		t.Error(err)
	}
}
