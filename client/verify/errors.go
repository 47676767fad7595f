// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package verify

import (
	"errors"
	"fmt"
)

// The errors that callers branch on with errors.Is.
var (
	// ErrInvalidToken: the token is not good here. The answer to its sender is 401.
	ErrInvalidToken = errors.New("the token is not valid here")
	// ErrExpired is an ErrInvalidToken.
	ErrExpired = fmt.Errorf("%w: it has expired", ErrInvalidToken)
	// ErrRevoked is an ErrInvalidToken. Only a verifier that watches the feed knows it.
	ErrRevoked = fmt.Errorf("%w: it was revoked", ErrInvalidToken)
	// ErrSubject is an ErrInvalidToken: it acts for another subject than its client, and
	// neither AllowUsers nor AllowExchanged was given.
	ErrSubject = fmt.Errorf("%w: it acts for another subject than its client", ErrInvalidToken)
	// ErrInsufficientScope: the token is good and lacks a scope. The answer is 403.
	ErrInsufficientScope = errors.New("the token lacks a scope")
	// ErrUnavailable: the keys cannot be fetched, or the feed is late. The answer is 503.
	ErrUnavailable = errors.New("tokens cannot be verified now")
	// ErrFeedLate is an ErrUnavailable: the feed is later than FailClosed allows.
	ErrFeedLate = fmt.Errorf("%w: the revocation feed is late", ErrUnavailable)
)

func invalid(format string, args ...any) error {
	return fmt.Errorf("%w: %w", ErrInvalidToken, fmt.Errorf(format, args...))
}
