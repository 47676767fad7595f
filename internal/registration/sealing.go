// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package registration

import (
	"errors"
	"fmt"

	"github.com/hallpass-dev/hallpass/internal/seal"
	"github.com/hallpass-dev/hallpass/internal/wire"
)

// How the sealing keys are kept: those by which tickets of logins, authorization codes and refresh
// tokens are sealed.
const (
	// SealingSecretName is the name of the Secret that holds the sealing keys.
	SealingSecretName = "hallpass-sealing-keys"
	// SealingSecretType is its type. Token servers that know no sealing keys drop it.
	SealingSecretType = "hallpass.dev/sealing-keys"

	sealingDataKey = "sealing.json"
)

// EncodeSealing renders sealing keys, secrets included, as the data of their Secret.
func EncodeSealing(ring seal.Ring) (map[string][]byte, error) {
	document, err := ring.Encode()
	if err != nil {
		return nil, fmt.Errorf("encode the sealing keys: %w", err)
	}
	return map[string][]byte{sealingDataKey: document}, nil
}

// DecodeSealing reads the sealing keys of a Secret; it wraps seal.ErrUnreadable. Their version is
// of the same sequence as that of all records.
func DecodeSealing(data map[string][]byte) (seal.Ring, error) {
	if err := formOf(data).CheckRead(version); errors.Is(err, wire.ErrNewer) {
		return seal.Ring{}, fmt.Errorf("decode the sealing keys: %w: %w", seal.ErrUnreadable, err)
	}
	ring, err := seal.Decode(data[sealingDataKey])
	if err != nil {
		return seal.Ring{}, fmt.Errorf("decode the sealing keys: %w", err)
	}
	return ring, nil
}
