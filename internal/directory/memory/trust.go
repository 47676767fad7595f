// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package memory

import (
	"errors"
	"fmt"

	"github.com/hallpass-dev/hallpass/internal/jws"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
	"github.com/hallpass-dev/hallpass/internal/strictjson"
)

// Trust is who issues the tokens of service accounts and by which keys they are known, and the two documents that this was read from.
type Trust struct {
	oauth2.Cluster

	discovery, keys string
}

// ReadTrust reads the two documents. Keys of kinds that are not supported are skipped, as RFC 7517 section 5 has it.
func ReadTrust(discovery, keys []byte) (*Trust, error) {
	document, err := strictjson.ParseObject(discovery)
	if err != nil {
		return nil, fmt.Errorf("read who issues the tokens of service accounts: %w", err)
	}
	issuer, err := document.String("issuer")
	if err != nil {
		return nil, fmt.Errorf("read who issues the tokens of service accounts: %w", err)
	}
	set, err := jws.ParseKeySet(keys)
	if err == nil && len(set.Keys) == 0 {
		err = errors.Join(set.Unusable...)
	}
	if err != nil {
		return nil, fmt.Errorf("read the keys of service accounts' tokens: %w", err)
	}
	return &Trust{oauth2.Cluster{Issuer: issuer, Keys: set}, string(discovery), string(keys)}, nil
}
