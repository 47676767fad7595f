// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package registration

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"

	"github.com/hallpass-dev/hallpass/internal/keyring"
	"github.com/hallpass-dev/hallpass/internal/wire"
)

// version is the newest that this build reads and writes. Records that have nothing which came
// after the first version are still written with that one, which does not name its oldest reader:
// an upgrade would write each of them again. Version 2 has clients of trusted issuers, and the
// records of these issuers. Version 3 has clients with grant types of their own or with assertions
// that live longer than before, the algorithm name Ed25519, and consents to exchanged tokens.
// Version 4 has issuers that are trusted for persons, and consents to tokens of persons. Version 5
// has clients with authorization codes, public ones among them, and issuers at which persons log
// in. Version 6 has issuers of JWT-SVIDs.
const (
	firstVersion     = 1
	federatedVersion = 2
	grantTypeVersion = 3
	personVersion    = 4
	codeVersion      = 5
	spiffeVersion    = 6
	version          = spiffeVersion
)

// read reads a document into its stored form.
func read(document []byte, into any, form *wire.Form) error {
	failure := json.Unmarshal(document, into)
	if failure != nil {
		*form = headOf(document)
	}
	if err := form.CheckRead(version); err != nil && (failure == nil || form.Version > 0) {
		failure = err
	}
	if failure != nil {
		return fmt.Errorf("%w: %w", ErrUnreadable, failure)
	}
	return nil
}

// headOf reads the form of a document alone; zero if it has none.
func headOf(document []byte) wire.Form {
	var form wire.Form
	if json.Unmarshal(document, &form) != nil {
		return wire.Form{}
	}
	return form
}

// formOf is the form of a record, whatever its kind.
func formOf(data map[string][]byte) wire.Form {
	if document, there := data[keysFormDataKey]; there {
		return headOf(document)
	}
	for _, key := range []string{dataKey, resourceDataKey, issuerDataKey, tokenDataKey, keysDataKey, sealingDataKey} {
		if document, there := data[key]; there {
			return headOf(document)
		}
	}
	return wire.Form{}
}

// CheckWrite returns the reason why the stored data of a record must not be written over, which
// wraps wire.ErrNewer, or nil.
func CheckWrite(stored map[string][]byte) error {
	if err := formOf(stored).CheckWrite(version); err != nil {
		return err
	}
	if keyring.HasUnknown(stored[keysDataKey]) {
		return fmt.Errorf("%w: the signing keys have fields that version %d does not know", wire.ErrNewer, version)
	}
	return nil
}

// Same reports whether stored and wanted data of a record are the same as far as this version reads
// them.
func Same(stored, wanted map[string][]byte) bool {
	for key, recode := range map[string]func(map[string][]byte) (map[string][]byte, error){
		dataKey: recoding(Decode, Encode), resourceDataKey: recoding(DecodeResource, EncodeResource), tokenDataKey: recoding(DecodeToken, EncodeToken),
		issuerDataKey: recoding(DecodeIssuer, EncodeIssuer),
		keysDataKey:   recoding(DecodeKeys, EncodeKeys), sealingDataKey: recoding(DecodeSealing, EncodeSealing),
	} {
		if stored[key] == nil {
			continue
		}
		recoded, err := recode(stored)
		return err == nil && maps.EqualFunc(recoded, wanted, bytes.Equal)
	}
	return false
}

func recoding[R any](decode func(map[string][]byte) (R, error), encode func(R) (map[string][]byte, error)) func(map[string][]byte) (map[string][]byte, error) {
	return func(data map[string][]byte) (map[string][]byte, error) {
		record, err := decode(data)
		if err != nil {
			return nil, err
		}
		return encode(record)
	}
}
