// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package registration

import (
	"encoding/json"

	"github.com/hallpass-dev/hallpass/internal/oauth2"
)

// MaxSize bounds a registration without its JWK set, in bytes. MaxListed bounds the part of it that
// a spec lists: the rest is for MaxVerifiers secrets and the state of their rotation.
const (
	MaxSize   = 16 << 10
	MaxListed = MaxSize - 5<<10
)

// Listed is the size of the registration of a client without its keys and secrets, in bytes.
func Listed(client oauth2.Client) int {
	client.Credentials.Keys, client.Credentials.Verifiers = nil, nil
	w, err := toWire(Registration{Client: client})
	if err != nil {
		return 0 // only keys can fail
	}
	document, err := json.Marshal(w)
	if err != nil {
		return 0 // it has only texts and numbers
	}
	return len(document)
}
