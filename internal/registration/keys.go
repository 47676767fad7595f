// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package registration

import (
	"errors"
	"fmt"
	"slices"

	"github.com/hallpass-dev/hallpass/internal/jws"
	"github.com/hallpass-dev/hallpass/internal/keyring"
	"github.com/hallpass-dev/hallpass/internal/wire"
)

// How the signing keys are kept.
const (
	// KeysSecretName is the name of the Secret that holds the signing keys.
	KeysSecretName = "signing-keys"
	// KeysSecretType is its type.
	KeysSecretType = "hallpass.dev/signing-keys"

	keysDataKey = "ring.json"
	// keysFormDataKey is the entry with the version and the oldest reader of the signing keys.
	// The first readers refuse every field of ring.json that they do not know, and the version
	// there but 1.
	keysFormDataKey = "form.json"
)

// EncodeKeys renders a ring, private keys included, as the data of its Secret.
func EncodeKeys(ring keyring.Ring) (map[string][]byte, error) {
	document, err := ring.Encode()
	if err != nil {
		return nil, fmt.Errorf("encode signing keys: %w", err)
	}
	data := map[string][]byte{keysDataKey: document}
	if slices.ContainsFunc(ring.Keys(), func(key *keyring.SigningKey) bool { return key.Algorithm() == jws.Ed25519 }) {
		// readers of before do not know the name, and read no key then
		data[keysFormDataKey] = fmt.Appendf(nil, `{"version":%d}`, grantTypeVersion)
	}
	return data, nil
}

// DecodeKeys reads the ring of a Secret; it wraps keyring.ErrUnreadable.
func DecodeKeys(data map[string][]byte) (keyring.Ring, error) {
	if err := formOf(data).CheckRead(version); errors.Is(err, wire.ErrNewer) {
		return keyring.Ring{}, fmt.Errorf("decode signing keys: %w: %w", keyring.ErrUnreadable, err)
	}
	ring, err := keyring.Decode(data[keysDataKey])
	if err != nil {
		return keyring.Ring{}, fmt.Errorf("decode signing keys: %w", err)
	}
	return ring, nil
}
