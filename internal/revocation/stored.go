// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package revocation

import (
	"errors"
	"time"

	"github.com/hallpass-dev/hallpass/internal/oauth2"
)

// Stored holds the values of a TokenRevocation as they are stored.
type Stored struct {
	// ClientID, Namespace and IssuedBefore are the selector as its author wrote it; a zero
	// IssuedBefore means that there is none.
	ClientID, Namespace string
	IssuedBefore        time.Time
	// CreatedAt is the creation time of the TokenRevocation.
	CreatedAt time.Time
	// Tokens and Assertions are the encoded lists of the batch; see Decode.
	Tokens, Assertions string
}

// Read decodes a TokenRevocation. The selector is nil if there is none; its IssuedBefore is cut
// back to CreatedAt. An unreadable list leaves its field of the batch empty; the other list is
// read.
func (s Stored) Read() (selector *Selector, batch Batch, err error) {
	if !s.IssuedBefore.IsZero() {
		selector = &Selector{ClientID: s.ClientID, Namespace: s.Namespace, IssuedBefore: oauth2.CutBack(s.IssuedBefore, s.CreatedAt)}
	}
	var tokensErr, assertionsErr error
	batch.Tokens, tokensErr = Decode(s.Tokens)
	batch.Assertions, assertionsErr = Decode(s.Assertions)
	return selector, batch, errors.Join(tokensErr, assertionsErr)
}
