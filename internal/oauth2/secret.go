// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package oauth2

import (
	"fmt"
	"io"
	"log/slog"
)

const redacted = "REDACTED"

// Secret is a string that prints as REDACTED, also as an unexported field of a printed struct,
// which is why it holds a pointer.
type Secret struct{ value *string }

// NewSecret wraps a value that must not be shown.
func NewSecret(value string) Secret { return Secret{value: &value} }

// Reveal returns the value. Its callers are few and easy to find; none of them logs.
func (s Secret) Reveal() string {
	if s.value == nil {
		return ""
	}
	return *s.value
}

// Empty reports whether there is no value.
func (s Secret) Empty() bool { return s.Reveal() == "" }

// Format implements fmt.Formatter for every verb.
func (s Secret) Format(state fmt.State, _ rune) { _, _ = io.WriteString(state, redacted) }

// String implements fmt.Stringer.
func (s Secret) String() string { return redacted }

// MarshalText keeps encoders, encoding/json among them, from showing the value.
func (s Secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// LogValue implements slog.LogValuer.
func (s Secret) LogValue() slog.Value { return slog.StringValue(redacted) }
