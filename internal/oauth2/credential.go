// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package oauth2

import (
	"encoding/base64"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"strings"

	"github.com/hallpass-dev/hallpass/internal/jws"
)

// ClientSecretPrefix begins every client secret that Hallpass generates, for leak scanners to look
// for.
const ClientSecretPrefix = "hp_"

const (
	// characters of idAlphabet, about 62 bits: names a secret, keeps nothing.
	credentialIDLength    = 12
	credentialRandomBytes = 32
	// characters of unpadded base64url that hold credentialRandomBytes.
	credentialRandomLength = 43
	credentialCheckLength  = 8 // hexadecimal digits of a CRC-32
	idAlphabet             = "abcdefghijklmnopqrstuvwxyz234567"
)

// OpaqueTokenPrefix begins every access token that is no JWT.
const OpaqueTokenPrefix = "hpt_"

// ErrMalformedCredential means that a string was never generated as a credential: a typo, a
// truncation or a guess.
var ErrMalformedCredential = errors.New("not a well-formed Hallpass credential")

// Credential is a random value with a public name: <prefix><id>_<43 characters of
// base64url>_<CRC-32>. The checksum lets scanners, and us, refuse others without a look-up.
type Credential struct {
	// ID names the credential in status, events and audit lines.
	ID string
	// Value is the whole string, prefix and checksum included.
	Value Secret
}

// NewClientSecret makes a client secret of 256 random bits.
func NewClientSecret(random io.Reader) (Credential, error) {
	raw := make([]byte, credentialIDLength)
	if _, err := io.ReadFull(random, raw); err != nil {
		return Credential{}, fmt.Errorf("read randomness for a credential: %w", err)
	}
	return newCredential(ClientSecretPrefix, credentialID(raw), random)
}

// ParseClientSecret parses a generated client secret, or returns ErrMalformedCredential.
func ParseClientSecret(value Secret) (Credential, error) {
	return parseCredential(ClientSecretPrefix, value)
}

// LooksSecret reports whether a name may be a secret or a token in the wrong place, which must not
// be logged.
func LooksSecret(s string) bool {
	const object = "eyJ" // how {" begins in base64url
	return strings.HasPrefix(s, ClientSecretPrefix) || strings.HasPrefix(s, OpaqueTokenPrefix) || strings.HasPrefix(s, object)
}

// credentialID is an id of as many letters as there are bytes.
func credentialID(raw []byte) string {
	id := make([]byte, len(raw))
	for i := range id {
		id[i] = idAlphabet[raw[i]&31] // 32 letters: no bias
	}
	return string(id)
}

func newCredential(prefix, id string, random io.Reader) (Credential, error) {
	raw := make([]byte, credentialRandomBytes)
	if _, err := io.ReadFull(random, raw); err != nil {
		return Credential{}, fmt.Errorf("read randomness for a credential: %w", err)
	}
	body := prefix + id + "_" + base64.RawURLEncoding.EncodeToString(raw)
	return Credential{ID: id, Value: NewSecret(body + "_" + checksum(body))}, nil
}

func parseCredential(prefix string, value Secret) (Credential, error) {
	s := value.Reveal()
	bodyLength := len(prefix) + credentialIDLength + 1 + credentialRandomLength
	if len(s) != bodyLength+1+credentialCheckLength || !strings.HasPrefix(s, prefix) || s[bodyLength] != '_' {
		return Credential{}, ErrMalformedCredential
	}
	body, check := s[:bodyLength], s[bodyLength+1:]
	if checksum(body) != check {
		return Credential{}, ErrMalformedCredential
	}
	id := body[len(prefix) : len(prefix)+credentialIDLength]
	if strings.Trim(id, idAlphabet) != "" || body[len(prefix)+credentialIDLength] != '_' {
		return Credential{}, ErrMalformedCredential
	}
	if _, err := jws.DecodeBase64URL(body[len(prefix)+credentialIDLength+1:]); err != nil {
		return Credential{}, ErrMalformedCredential
	}
	return Credential{ID: id, Value: value}, nil
}

func checksum(body string) string {
	return fmt.Sprintf("%0*x", credentialCheckLength, crc32.ChecksumIEEE([]byte(body)))
}
