// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package keyring_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/hallpass-dev/hallpass/internal/jws"
	"github.com/hallpass-dev/hallpass/internal/keyring"
)

var epoch = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

func newRing(t testing.TB) keyring.Ring {
	t.Helper()
	ring, err := keyring.New(epoch)
	if err != nil {
		t.Fatal(err)
	}
	return ring
}

func TestAKeySignsFromItsActiveInstantOn(t *testing.T) {
	ring := newRing(t)
	for now, want := range map[time.Time]error{epoch.Add(-time.Second): keyring.ErrNoSigningKey, epoch: nil, epoch.Add(1e5 * time.Hour): nil} {
		if _, err := ring.SigningKey(now); !errors.Is(err, want) {
			t.Errorf("at %s: %v, want %v", now, err, want)
		}
	}
}

func TestTheKeyThatBecameActiveLastSigns(t *testing.T) {
	keys := []wireKey{newWireKey(t, epoch), newWireKey(t, epoch.Add(2*time.Hour)), newWireKey(t, epoch.Add(time.Hour))}
	ring, err := keyring.Decode(document(t, keys...))
	if err != nil {
		t.Fatal(err)
	}
	for after, want := range map[time.Duration]time.Duration{
		0: 0, time.Hour - 1: 0, time.Hour: time.Hour, 2*time.Hour - 1: time.Hour, 2 * time.Hour: 2 * time.Hour, 99 * time.Hour: 2 * time.Hour,
	} {
		key, err := ring.SigningKey(epoch.Add(after))
		if err != nil || !key.ActiveAt.Equal(epoch.Add(want)) {
			t.Errorf("after %s: %v (%v), want the key of %s", after, key, err, want)
		}
	}
}

func TestWhatAKeySignsItsRingVerifies(t *testing.T) {
	ring := newRing(t)
	key, err := ring.SigningKey(epoch)
	if err != nil {
		t.Fatal(err)
	}
	token, err := key.Sign("at+jwt", []byte(`{}`))
	if err != nil {
		t.Fatal(err)
	}
	message, err := jws.Parse(token)
	if err != nil {
		t.Fatal(err)
	}
	signed, err := ring.VerificationKey(message.Header.KeyID, epoch)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := message.Verify(signed.Public()); err != nil {
		t.Error(err)
	}
	for _, kid := range []string{"", "unknown", message.Header.KeyID + "x"} {
		if _, err := ring.VerificationKey(kid, epoch); !errors.Is(err, keyring.ErrUnknownKey) {
			t.Errorf("kid %q: %v, want ErrUnknownKey", kid, err)
		}
	}
}

func TestARingComesBackWhole(t *testing.T) {
	ring := newRing(t)
	encoded, err := ring.Encode()
	if err != nil {
		t.Fatal(err)
	}
	decoded, err := keyring.Decode(encoded)
	if err != nil {
		t.Fatal(err)
	}
	again, err := decoded.Encode()
	if err != nil || string(again) != string(encoded) {
		t.Errorf("encoded again: %s (%v), want %s", again, err, encoded)
	}
	if before, after := ring.JWKS(epoch), decoded.JWKS(epoch); string(before) != string(after) {
		t.Errorf("published: %s, want %s", after, before)
	}
}

func TestTheKeySetHoldsPublicKeysAlone(t *testing.T) {
	ring := newRing(t)
	rendered := ring.JWKS(epoch)
	var set struct {
		Keys []map[string]string `json:"keys"`
	}
	if err := json.Unmarshal(rendered, &set); err != nil || len(set.Keys) != 1 {
		t.Fatalf("%s: %v", rendered, err)
	}
	for _, name := range []string{"kty", "crv", "x", "y", "use", "alg", "kid"} {
		if set.Keys[0][name] == "" {
			t.Errorf("%s has no %q", rendered, name)
		}
		delete(set.Keys[0], name)
	}
	if len(set.Keys[0]) > 0 {
		t.Errorf("more is published than a public key: %v", set.Keys[0])
	}
	if empty := (keyring.Ring{}).JWKS(epoch); string(empty) != `{"keys":[]}` {
		t.Errorf("an empty ring: %s", empty)
	}
}

func TestARingIsReadWholeAndSoundOrNotAtAll(t *testing.T) {
	sound := newWireKey(t, epoch)
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("GODEBUG", "rsa1024min=0")
	small, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	many := make([]wireKey, 65)
	for i := range many {
		many[i] = newWireKey(t, epoch)
	}
	wrong := func(change func(*wireKey)) []byte {
		key := sound
		change(&key)
		return document(t, key)
	}
	for name, raw := range map[string][]byte{
		"nothing":                    nil,
		"not JSON":                   []byte("ring"),
		"no version":                 []byte(`{"keys":[]}`),
		"a later version":            []byte(`{"version":2,"keys":[]}`),
		"no keys":                    document(t),
		"a key twice":                document(t, sound, sound),
		"a key without an instant":   wrong(func(k *wireKey) { k.ActiveAt = time.Time{} }),
		"a key that is no key":       wrong(func(k *wireKey) { k.PKCS8 = []byte("key") }),
		"an algorithm of others":     []byte(strings.Replace(string(document(t, sound)), `"keys"`, `"algorithms":["PS256"],"keys"`, 1)),
		"only a tainted key":         []byte(strings.Replace(string(document(t, sound)), `"keys"`, `"tainted":[{"kid":"`+sound.id(t)+`","at":"2026-01-01T00:00:00Z"}],"keys"`, 1)),
		"a key published too late":   wrong(func(k *wireKey) { k.PublishedAt = k.ActiveAt.Add(time.Second) }),
		"a key retired too early":    wrong(func(k *wireKey) { k.RetiredAt, k.GoneAt = k.ActiveAt.Add(-time.Second), k.ActiveAt }),
		"a key that never goes":      wrong(func(k *wireKey) { k.RetiredAt = k.ActiveAt }),
		"a key that goes too early":  wrong(func(k *wireKey) { k.RetiredAt, k.GoneAt = k.ActiveAt, k.ActiveAt.Add(-time.Second) }),
		"more keys than anybody has": document(t, many...),
		"another algorithm":          wrong(func(k *wireKey) { k.Algorithm = jws.RS256 }),
		"an unknown algorithm":       wrong(func(k *wireKey) { k.Algorithm = "HS256" }),
		"a curve that is not P-256":  wrong(func(k *wireKey) { k.PKCS8 = pkcs8(t, p384) }),
		"RSA of 1024 bits":           wrong(func(k *wireKey) { k.Algorithm, k.PKCS8 = jws.RS256, pkcs8(t, small) }),
		"one sound and one not":      document(t, sound, wireKey{Algorithm: jws.ES256, ActiveAt: epoch}),
	} {
		t.Run(name, func(t *testing.T) {
			if ring, err := keyring.Decode(raw); !errors.Is(err, keyring.ErrUnreadable) || !ring.Empty() {
				t.Errorf("%v with %v, want ErrUnreadable and no key", err, ring)
			}
		})
	}
}

func TestNoKeyPrintsItself(t *testing.T) {
	ring := newRing(t)
	key, err := ring.SigningKey(epoch)
	if err != nil {
		t.Fatal(err)
	}
	encoded, err := ring.Encode()
	if err != nil {
		t.Fatal(err)
	}
	var stored struct {
		Keys []wireKey `json:"keys"`
	}
	if err := json.Unmarshal(encoded, &stored); err != nil {
		t.Fatal(err)
	}
	parsed, err := x509.ParsePKCS8PrivateKey(stored.Keys[0].PKCS8)
	if err != nil {
		t.Fatal(err)
	}
	private, ok := parsed.(*ecdsa.PrivateKey)
	if !ok {
		t.Fatalf("a %T", parsed)
	}
	var log strings.Builder
	slog.New(slog.NewJSONHandler(&log, nil)).Info("ring", "ring", ring, "key", key)
	for _, printed := range []string{
		log.String(), fmt.Sprint(ring, key), fmt.Sprintf("%v %+v %#v %s %x %d", ring, ring, ring, ring, ring, ring),
		fmt.Sprintf("%v %+v %#v %s %x", key, key, key, key, key), fmt.Sprintf("%+v", struct{ r keyring.Ring }{ring}),
	} {
		raw, err := private.Bytes()
		if err != nil {
			t.Fatal(err)
		}
		for _, form := range []string{private.D.String(), hex.EncodeToString(raw), base64.StdEncoding.EncodeToString(stored.Keys[0].PKCS8)} { //nolint:staticcheck // the number is what must not be printed
			if strings.Contains(printed, form) {
				t.Errorf("a private key is in %q", printed)
			}
		}
	}
}

func FuzzDecode(f *testing.F) {
	encoded, err := newRing(f).Encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(encoded)
	for i := 0; i < len(encoded); i += 7 {
		f.Add(encoded[:i])
	}
	f.Add([]byte(`{"version":1,"keys":[{"algorithm":"ES256"}]}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		ring, err := keyring.Decode(raw)
		if (err == nil) == ring.Empty() {
			t.Errorf("%v with %v", err, ring)
		}
		if err != nil && !errors.Is(err, keyring.ErrUnreadable) {
			t.Errorf("%v is not ErrUnreadable", err)
		}
	})
}

// wireKey is the stored form of a key, written out here so that a change of it is noticed.
type wireKey struct {
	Algorithm   jws.Algorithm `json:"algorithm"`
	PKCS8       []byte        `json:"pkcs8"`
	PublishedAt time.Time     `json:"publishedAt,omitzero"`
	ActiveAt    time.Time     `json:"activeAt"`
	RetiredAt   time.Time     `json:"retiredAt,omitzero"`
	GoneAt      time.Time     `json:"goneAt,omitzero"`
}

// id is the kid of the key.
func (k wireKey) id(t testing.TB) string {
	t.Helper()
	private, err := x509.ParsePKCS8PrivateKey(k.PKCS8)
	if err != nil {
		t.Fatal(err)
	}
	signer, ok := private.(crypto.Signer)
	if !ok {
		t.Fatalf("a %T", private)
	}
	id, err := jws.Thumbprint(signer.Public())
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func newWireKey(t testing.TB, activeAt time.Time) wireKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return wireKey{Algorithm: jws.ES256, PKCS8: pkcs8(t, key), ActiveAt: activeAt}
}

func pkcs8(t testing.TB, key any) []byte {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

func document(t testing.TB, keys ...wireKey) []byte {
	t.Helper()
	raw, err := json.Marshal(map[string]any{"version": 1, "keys": keys})
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// A later version may add a member. Its keys keep signing here, but the ring is not written again.
func TestUnknownMembersAreIgnoredAndNoted(t *testing.T) {
	known := document(t, newWireKey(t, epoch))
	for name, c := range map[string]struct {
		raw     string
		unknown bool
	}{
		"a ring of this version":           {string(known), false},
		"an unknown member of the ring":    {strings.Replace(string(known), `"keys"`, `"later":1,"keys"`, 1), true},
		"an unknown member of a key":       {strings.Replace(string(known), `"algorithm"`, `"later":1,"algorithm"`, 1), true},
		"a ring that nobody here can read": {"ring", false},
	} {
		t.Run(name, func(t *testing.T) {
			if ring, err := keyring.Decode([]byte(c.raw)); c.raw != "ring" && (err != nil || ring.Empty()) {
				t.Errorf("%v with %v", err, ring)
			}
			if unknown := keyring.HasUnknown([]byte(c.raw)); unknown != c.unknown {
				t.Errorf("unknown members: %t", unknown)
			}
		})
	}
}
