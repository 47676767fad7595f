// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package show

import (
	"fmt"
	"strings"
	"unicode"
)

// Plain is a text that controls no terminal: control characters but tabs and ends of lines, and
// those that change the direction of text, are printed as their number.
func Plain(text string) string {
	if strings.IndexFunc(text, controls) < 0 {
		return text
	}
	var plain strings.Builder
	for _, r := range text {
		if controls(r) {
			fmt.Fprintf(&plain, "\\u%04x", r)
		} else {
			plain.WriteRune(r)
		}
	}
	return plain.String()
}

// Sentence is an error with one full stop at its end unless it asks something, and without control
// characters of a terminal.
func Sentence(err error) string {
	text := Plain(strings.TrimRight(err.Error(), "."))
	if strings.HasSuffix(text, "?") {
		return text
	}
	return text + "."
}

func controls(r rune) bool {
	return unicode.IsControl(r) && r != '\n' && r != '\t' || unicode.Is(unicode.Bidi_Control, r)
}
