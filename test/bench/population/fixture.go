// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package population

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/hallpass-dev/hallpass/internal/keyring"
)

// Fixture is what the floor answers from.
type Fixture struct {
	// Clients are the SHA-256 of the secrets by client_id.
	Clients map[string][]byte `json:"clients"`
	// PKCS8 is the signing key.
	PKCS8 []byte `json:"pkcs8"`
	// SigningInput is header and payload of a token.
	SigningInput string `json:"signingInput"`
	// Seen are the tokens that were seen before.
	Seen map[Digest]bool `json:"seen"`
	// Active, JWKS and Metadata are bodies, and Identity the headers of forward-auth, all as
	// the token server has them.
	Active   string            `json:"active"`
	JWKS     string            `json:"jwks"`
	Metadata string            `json:"metadata"`
	Identity map[string]string `json:"identity"`
	// Platform is the public key of the platform whose JWTs authenticate jobs, in PKIX form.
	Platform []byte `json:"platform"`
	// Exchanged is header and payload of a token that was exchanged for another one, and
	// ExchangedRest what the answer has after that token.
	Exchanged     string `json:"exchanged"`
	ExchangedRest string `json:"exchangedRest"`
	// Redeemed and Refreshed are the same of tokens for a code and for a refresh token.
	Redeemed      string `json:"redeemed"`
	RedeemedRest  string `json:"redeemedRest"`
	Refreshed     string `json:"refreshed"`
	RefreshedRest string `json:"refreshedRest"`
	// Revocations is where an object is created for each code, with the authority CA of that
	// server in PEM, and Redemption that object.
	Revocations string `json:"revocations"`
	CA          []byte `json:"ca"`
	Redemption  []byte `json:"redemption"`
	// Check is the answer to Envoy about a token that was seen before, a CheckResponse.
	Check []byte `json:"check"`
}

// ReadFixture reads what the driver has written.
func ReadFixture(file string) (Fixture, error) {
	raw, err := os.ReadFile(file)
	if err != nil {
		return Fixture{}, err
	}
	var f Fixture
	err = json.Unmarshal(raw, &f)
	return f, err
}

// Saw reports whether a token was seen before.
func (f *Fixture) Saw(token string) bool { return f.Seen[sha256.Sum256([]byte(token))] }

// Digest is the SHA-256 of a token.
type Digest [sha256.Size]byte

// MarshalText implements encoding.TextMarshaler.
func (d Digest) MarshalText() ([]byte, error) { return []byte(hex.EncodeToString(d[:])), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (d *Digest) UnmarshalText(text []byte) error {
	if n, err := hex.Decode(d[:], text); err != nil || n != len(d) {
		return fmt.Errorf("%q is not a digest", text)
	}
	return nil
}

// Fixture prepares the floor; seen are tokens that it has seen before. The answers are for the
// caller to fill in.
func (p *Population) Fixture(seen []string, now time.Time) (Fixture, error) {
	token, err := p.Token(p.Clients[0], now)
	if err != nil {
		return Fixture{}, err
	}
	pkcs8, err := p.privateKey(now)
	if err != nil {
		return Fixture{}, err
	}
	f := Fixture{
		Clients: make(map[string][]byte, len(p.Clients)), Seen: make(map[Digest]bool, len(seen)), PKCS8: pkcs8,
		SigningInput: token[:strings.LastIndexByte(token, '.')],
	}
	if p.Machines != nil {
		f.Platform = p.Machines.PlatformKey
	}
	for _, c := range p.all() {
		digest := sha256.Sum256([]byte(c.Secret.Reveal()))
		f.Clients[c.ID] = digest[:]
	}
	for _, token := range seen {
		f.Seen[sha256.Sum256([]byte(token))] = true
	}
	return f, nil
}

// privateKey is the key that signs, from the stored form of the ring.
func (p *Population) privateKey(now time.Time) ([]byte, error) {
	document, err := p.Ring.Encode()
	if err != nil {
		return nil, err
	}
	var ring struct {
		Keys []struct {
			PKCS8 []byte `json:"pkcs8"`
		} `json:"keys"`
	}
	if err := json.Unmarshal(document, &ring); err != nil {
		return nil, err
	}
	key, err := p.Ring.SigningKey(now)
	if err != nil {
		return nil, err
	}
	for i, candidate := range p.Ring.Keys() {
		if candidate.ID() == key.ID() {
			return ring.Keys[i].PKCS8, nil
		}
	}
	return nil, keyring.ErrNoSigningKey
}
