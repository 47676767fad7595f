// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package revocation

import (
	"errors"
	"fmt"
	"time"

	"github.com/hallpass-dev/hallpass/internal/oauth2"
	"github.com/hallpass-dev/hallpass/internal/wire"
)

// Stored is a TokenRevocation as it is stored; v1alpha1.TokenRevocation implements it.
type Stored interface {
	GetName() string
	// Form returns the version that it was written in, and the lowest version of a reader.
	Form() (version, minReader int)
	// Selection returns the selector as its author wrote it, and the creation time of the
	// TokenRevocation. A zero issuedBefore means that there is no selector.
	Selection() (clientID, namespace string, issuedBefore, createdAt time.Time)
	// SelectedPersons returns the sub of a person, or the name of an issuer of persons, that
	// the selector names.
	SelectedPersons() (subject, issuerName string)
	// Lists returns the encoded lists of the batch, and the origins of its entries; see
	// Batch.Encode.
	Lists() (tokens, assertions string, origins []byte)
	// GrantList returns the third list of the batch; see Batch.EncodeGenerations.
	GrantList() (generations string)
	// Redeemed returns the redemption of a code; a zero expiresAt means that there is none.
	Redeemed() (clientID, namespace, grantID, attempt string, expiresAt time.Time)
}

// Version is that of the TokenRevocations with generations or a redemption, and OldestReader the
// lowest version that may ignore both: it accepts neither a code nor a refresh token. Others are
// still written without a version.
const (
	Version      = 2
	OldestReader = 1

	version = Version
)

// CheckWrite returns the reason why this build must neither merge nor delete a TokenRevocation,
// which wraps wire.ErrNewer, or nil.
func CheckWrite(s Stored) error { return formOf(s).CheckWrite(version) }

func formOf(s Stored) wire.Form {
	written, least := s.Form()
	return wire.Form{Version: written, MinReader: least}
}

// Read decodes a TokenRevocation. The selector is nil if there is none. An unreadable list leaves
// its field of the batch empty; the other lists are read. Entries whose origins are unreadable have
// none. Of one that only newer versions can read, nothing is read.
func Read(s Stored) (selector *Selector, batch Batch, err error) {
	if err := formOf(s).CheckRead(version); err != nil {
		return nil, Batch{}, fmt.Errorf("%w: %w", ErrUnreadable, err)
	}
	tokens, assertions, origins := s.Lists()
	var tokensErr, assertionsErr error
	batch.Tokens, tokensErr = Decode(tokens)
	batch.Assertions, assertionsErr = Decode(assertions)
	batch.Clients, _ = unpackOrigins(batch.Tokens, batch.Assertions, origins)
	generationsErr := batch.decodeGenerations(s.GrantList())
	return ReadSelector(s), batch, errors.Join(tokensErr, assertionsErr, generationsErr)
}

// ReadRedemption decodes the redemption of a TokenRevocation; nil if there is none that can be
// read.
func ReadRedemption(s Stored) *Redemption {
	clientID, namespace, grantID, attempt, expiresAt := s.Redeemed()
	if expiresAt.IsZero() || formOf(s).CheckRead(version) != nil {
		return nil
	}
	return &Redemption{GrantID: grantID, Attempt: attempt, Client: Client{clientID, namespace}, ExpiresAt: expiresAt}
}

// ReadSelector decodes the selector of a TokenRevocation; nil if there is none that can be read.
// Its IssuedBefore is cut back to the creation time.
func ReadSelector(s Stored) *Selector {
	clientID, namespace, issuedBefore, createdAt := s.Selection()
	if issuedBefore.IsZero() || formOf(s).CheckRead(version) != nil {
		return nil
	}
	selector := Selector{ClientID: clientID, Namespace: namespace, IssuedBefore: issuedBefore}
	selector.Subject, selector.IssuerName = s.SelectedPersons()
	selector.Collapses = selector.Subject == "" && selector.IssuerName == "" && s.GetName() == selector.Name()
	selector.IssuedBefore = oauth2.CutBack(issuedBefore, createdAt)
	return &selector
}
