// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package registration

import (
	"fmt"

	"github.com/hallpass-dev/hallpass/internal/credential"
)

// How the key is kept by which Secrets prove the generation of their client secrets. It is created
// once and never updated. Token servers drop it: they store Secrets of other types only.
const (
	// GenerationKeySecretName is the name of its Secret in the registry.
	GenerationKeySecretName = "generation-key"
	// GenerationKeySecretType is its type.
	GenerationKeySecretType = "hallpass.dev/generation-key"

	generationKeyDataKey = "key"
)

// EncodeGenerationKey renders a key as the data of its Secret.
func EncodeGenerationKey(key credential.GenerationKey) map[string][]byte {
	return map[string][]byte{generationKeyDataKey: key.Reveal()}
}

// DecodeGenerationKey reads the key of a Secret.
func DecodeGenerationKey(data map[string][]byte) (credential.GenerationKey, error) {
	key, err := credential.ParseGenerationKey(data[generationKeyDataKey])
	if err != nil {
		return credential.GenerationKey{}, fmt.Errorf("read Secret %s: %w", GenerationKeySecretName, err)
	}
	return key, nil
}
