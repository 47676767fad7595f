// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package jws_test

import (
	"encoding/base64"
	"testing"

	"github.com/hallpass-dev/hallpass/internal/jws"
)

// spellings are texts of the same 16 bytes that a lenient decoder reads, beside the one that is
// written.
var spellings = map[string]func(string) string{
	"a line break before it":       func(s string) string { return "\n" + s },
	"a line break in it":           func(s string) string { return s[:5] + "\r\n" + s[5:] },
	"a line break after it":        func(s string) string { return s + "\n" },
	"a carriage return after it":   func(s string) string { return s + "\r" },
	"a bit beside the bytes":       func(s string) string { return s[:21] + "B" + s[22:] },
	"the alphabet of the other":    func(s string) string { return "-_" + s[2:] + "+/" },
	"a space before it":            func(s string) string { return " " + s },
	"a byte that is no ASCII":      func(s string) string { return s + "\u00a0" },
	"one character less":           func(s string) string { return s[:len(s)-1] },
	"padding more than it takes":   func(s string) string { return s + "=" },
	"padding in the middle":        func(s string) string { return s[:4] + "=" + s[4:] },
	"a second text behind padding": func(s string) string { return s + "==AAAA" },
}

func TestEachValueHasOneText(t *testing.T) {
	value := make([]byte, 16)
	for name, c := range map[string]struct {
		text   string
		decode func(string) ([]byte, error)
	}{
		"base64":    {base64.StdEncoding.EncodeToString(value), jws.DecodeBase64},
		"base64url": {base64.RawURLEncoding.EncodeToString(value), jws.DecodeBase64URL},
	} {
		if got, err := c.decode(c.text); err != nil || string(got) != string(value) {
			t.Errorf("%s: %q reads as %x: %v", name, c.text, got, err)
		}
		for spelling, of := range spellings {
			if got, err := c.decode(of(c.text)); err == nil {
				t.Errorf("%s with %s: %q reads as %x", name, spelling, of(c.text), got)
			}
		}
	}
}

// FuzzBase64 looks for a second text of a value, which a length or a comparison elsewhere would not
// expect.
func FuzzBase64(f *testing.F) {
	for _, seed := range []string{"", "AA", "AA==", "AAAA", "A\nA", "_-", "+/==", "AAAAAAAAAAAAAAAAAAAAAA\r\n"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if value, err := jws.DecodeBase64(text); err == nil && base64.StdEncoding.EncodeToString(value) != text {
			t.Errorf("base64: %q reads as %x", text, value)
		}
		if value, err := jws.DecodeBase64URL(text); err == nil && base64.RawURLEncoding.EncodeToString(value) != text {
			t.Errorf("base64url: %q reads as %x", text, value)
		}
		value, err := jws.DecodeBase64URL(text)
		appended, appendErr := jws.AppendBase64URL([]byte("x"), text)
		if (err == nil) != (appendErr == nil) || err == nil && string(appended) != "x"+string(value) {
			t.Errorf("%q is appended as %x, %v, and reads as %x, %v", text, appended, appendErr, value, err)
		}
	})
}
