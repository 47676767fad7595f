// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package revocation

import (
	"errors"
	"time"

	"github.com/hallpass-dev/hallpass/internal/oauth2"
)

// Stored is a TokenRevocation as it is stored; v1alpha1.TokenRevocation implements it.
type Stored interface {
	// Selection returns the selector as its author wrote it, and the creation time of the
	// TokenRevocation. A zero issuedBefore means that there is no selector.
	Selection() (clientID, namespace string, issuedBefore, createdAt time.Time)
	// Lists returns the encoded lists of the batch; see Decode.
	Lists() (tokens, assertions string)
}

// Read decodes a TokenRevocation. The selector is nil if there is none; its IssuedBefore is cut
// back to the creation time. An unreadable list leaves its field of the batch empty; the other list
// is read.
func Read(s Stored) (selector *Selector, batch Batch, err error) {
	if clientID, namespace, issuedBefore, createdAt := s.Selection(); !issuedBefore.IsZero() {
		selector = &Selector{ClientID: clientID, Namespace: namespace, IssuedBefore: oauth2.CutBack(issuedBefore, createdAt)}
	}
	tokens, assertions := s.Lists()
	var tokensErr, assertionsErr error
	batch.Tokens, tokensErr = Decode(tokens)
	batch.Assertions, assertionsErr = Decode(assertions)
	return selector, batch, errors.Join(tokensErr, assertionsErr)
}
