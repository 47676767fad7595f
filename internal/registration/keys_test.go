// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package registration_test

import (
	"errors"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/hallpass-dev/hallpass/internal/jws"
	"github.com/hallpass-dev/hallpass/internal/keyring"
	"github.com/hallpass-dev/hallpass/internal/registration"
)

// A ring with a key of the new name is one that readers of before leave alone. The name is that of
// another algorithm to the ring, so its first key is published before it signs.
func TestARingWithTheNewNameOfEd25519NamesItsOldestReader(t *testing.T) {
	ring, err := keyring.New(created)
	if err != nil {
		t.Fatal(err)
	}
	policy := keyring.DefaultPolicy(time.Hour)
	policy.Algorithms = []jws.Algorithm{jws.ES256, jws.Ed25519}
	now := created.Add(time.Minute)
	rotated, err := keyring.Rotate(ring, keyring.Time{Earliest: now, Latest: now}, policy, keyring.Order{}, keyring.Generate)
	if err != nil {
		t.Fatal(err)
	}
	data, err := registration.EncodeKeys(rotated.Ring)
	if err != nil {
		t.Fatal(err)
	}
	if got := string(data["form.json"]); got != `{"version":3}` {
		t.Errorf("form.json is %q", got)
	}
	read, err := registration.DecodeKeys(data)
	if err != nil || !registration.Same(data, maps.Clone(data)) {
		t.Fatalf("it is not read, or not the same: %v", err)
	}
	if !strings.Contains(string(read.JWKS(now)), `"alg":"Ed25519"`) {
		t.Errorf("the JWK set is %s", read.JWKS(now))
	}
	if _, err := read.SigningKeyFor(jws.EdDSA, now.Add(policy.Lead)); !errors.Is(err, keyring.ErrNoSigningKey) {
		t.Errorf("a client that wants the former name: %v", err)
	}
	if key, err := read.SigningKeyFor(jws.Ed25519, now.Add(policy.Lead+time.Hour)); err != nil || key.Algorithm() != jws.Ed25519 {
		t.Errorf("a client that wants the new name: %v", err)
	}
	before, err := registration.EncodeKeys(ring)
	if err != nil || len(before) != 1 {
		t.Errorf("a ring without the name: %d entries, %v", len(before), err)
	}
}
