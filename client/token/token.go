// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package token

import (
	"fmt"
	"log/slog"
	"time"
)

const redacted = "REDACTED"

// Token is an access token. Only Reveal returns its text: fmt, log/slog and encoding/json print
// REDACTED.
type Token struct {
	// Expiry is when the token expires by the clock of this machine.
	Expiry time.Time
	// Scopes are the scopes that were granted.
	Scopes []string

	// value is a pointer: fmt prints an unexported field of another struct by reflection,
	// without Format, and then shows an address.
	value *string
}

// Reveal returns the text of the token, for the header Authorization. It is empty for the zero
// Token.
func (t Token) Reveal() string {
	if t.value == nil {
		return ""
	}
	return *t.value
}

// String implements fmt.Stringer.
func (Token) String() string { return redacted }

// GoString implements fmt.GoStringer.
func (Token) GoString() string { return redacted }

// Format implements fmt.Formatter: each verb prints REDACTED.
func (Token) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(redacted)) }

// MarshalText implements encoding.TextMarshaler, which encoding/json uses too.
func (Token) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// MarshalJSON implements json.Marshaler.
func (Token) MarshalJSON() ([]byte, error) { return []byte(`"` + redacted + `"`), nil }

// LogValue implements slog.LogValuer.
func (Token) LogValue() slog.Value { return slog.StringValue(redacted) }

// elapsed is the time since an instant. The monotonic clock stands still while a machine sleeps,
// and the clock of the day may be set: the larger of both counts, so that a token is never used for
// too long.
func elapsed(since, now time.Time) time.Duration {
	return max(now.Sub(since), now.Round(0).Sub(since.Round(0)))
}
