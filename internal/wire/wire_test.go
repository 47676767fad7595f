// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package wire_test

import (
	"math"
	"strings"
	"testing"

	"github.com/hallpass-dev/hallpass/internal/wire"
)

func TestReaderReturnsWhatWriterWrote(t *testing.T) {
	signed := []int64{0, 1, -1, 63, -64, 64, 1 << 40, math.MaxInt64, math.MinInt64}
	unsigned := []uint64{0, 1, 127, 128, 1 << 40, math.MaxUint64}
	texts := []string{"", "a", "a\x00\xff", strings.Repeat("long", 100)}
	var w wire.Writer
	w.Byte(0xff)
	for _, n := range signed {
		w.Varint(n)
	}
	for _, n := range unsigned {
		w.Uvarint(n)
	}
	for _, s := range texts {
		w.Text(s)
	}
	w.Raw("raw")
	r := wire.NewReader(string(w.Bytes))
	if b := r.Byte(); b != 0xff {
		t.Errorf("byte %d", b)
	}
	for _, want := range signed {
		if got := r.Varint(); got != want {
			t.Errorf("varint %d, want %d", got, want)
		}
	}
	for _, want := range unsigned {
		if got := r.Uvarint(); got != want {
			t.Errorf("uvarint %d, want %d", got, want)
		}
	}
	for _, want := range texts {
		if got := r.Text(); got != want {
			t.Errorf("text %q, want %q", got, want)
		}
	}
	if r.Done() || r.Len() != len("raw") {
		t.Errorf("done %t with %d bytes left", r.Done(), r.Len())
	}
	if got := r.Raw(r.Len()); got != "raw" || !r.Done() || r.Failed() {
		t.Errorf("raw %q, done %t, failed %t", got, r.Done(), r.Failed())
	}
}

func TestReaderFailsOnMalformedInput(t *testing.T) {
	for name, c := range map[string]struct {
		in   string
		read func(*wire.Reader)
	}{
		"a byte of nothing":              {"", func(r *wire.Reader) { r.Byte() }},
		"a number of nothing":            {"", func(r *wire.Reader) { r.Uvarint() }},
		"a truncated number":             {"\x80", func(r *wire.Reader) { r.Uvarint() }},
		"a number longer than necessary": {"\x81\x00", func(r *wire.Reader) { r.Varint() }},
		"a number of more than 64 bits":  {strings.Repeat("\xff", 9) + "\x02", func(r *wire.Reader) { r.Uvarint() }},
		"a string longer than the input": {"\x06ab", func(r *wire.Reader) { r.Text() }},
		"a string of a negative length":  {"\x01ab", func(r *wire.Reader) { r.Text() }},
		"a count greater than the input": {"\x06ab", func(r *wire.Reader) { r.Count() }},
		"a negative count":               {"\x01ab", func(r *wire.Reader) { r.Count() }},
		"more bytes than the input":      {"ab", func(r *wire.Reader) { r.Raw(3) }},
		"a negative number of bytes":     {"ab", func(r *wire.Reader) { r.Raw(-1) }},
		"input that the caller refuses":  {"ab", func(r *wire.Reader) { r.Fail() }},
	} {
		t.Run(name, func(t *testing.T) {
			r := wire.NewReader(c.in)
			c.read(&r)
			if !r.Failed() || r.Done() {
				t.Errorf("failed %t, done %t", r.Failed(), r.Done())
			}
			if r.Byte() != 0 || r.Varint() != 0 || r.Uvarint() != 0 || r.Count() != 0 || r.Text() != "" || r.Raw(1) != "" || r.Len() != 0 {
				t.Error("a value is read after the failure")
			}
		})
	}
}

// FuzzReader looks for input that makes Reader panic, and for two encodings of the same values.
func FuzzReader(f *testing.F) {
	f.Add("")
	f.Add("\x07\x81\x01\x02\x04ab")
	f.Add("\x01\x81\x00\x00\x00")
	f.Add("\x00\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01\x00\x00")
	f.Fuzz(func(t *testing.T, in string) {
		var w wire.Writer
		r := wire.NewReader(in)
		for r.Len() > 0 {
			w.Byte(r.Byte())
			w.Uvarint(r.Uvarint())
			w.Varint(r.Varint())
			w.Text(r.Text())
		}
		if r.Done() && string(w.Bytes) != in {
			t.Errorf("%x is read as the values of %x", in, w.Bytes)
		}
	})
}

const uid = "6f1d3c1e-0c1b-4a57-9d0a-0a1b2c3d4e5f"

func TestUUIDs(t *testing.T) {
	u, ok := wire.ParseUUID(uid)
	want := wire.UUID{0x6f, 0x1d, 0x3c, 0x1e, 0x0c, 0x1b, 0x4a, 0x57, 0x9d, 0x0a, 0x0a, 0x1b, 0x2c, 0x3d, 0x4e, 0x5f}
	if !ok || u != want {
		t.Errorf("%x, %t, want %x", u, ok, want)
	}
	if u.String() != uid || !u.Is(uid) || u.Is("") || u.Is(strings.ToUpper(uid)) {
		t.Errorf("%q is the form of %s", u.String(), uid)
	}
	if n := testing.AllocsPerRun(100, func() { _, ok = wire.ParseUUID(uid); ok = ok && u.Is(uid) }); n > 0 {
		t.Errorf("parsing a UUID takes %v allocations", n)
	}
	for name, s := range map[string]string{
		"nothing":                    "",
		"upper case":                 strings.ToUpper(uid),
		"one digit in upper case":    strings.Replace(uid, "f", "F", 1),
		"no hyphens":                 strings.ReplaceAll(uid, "-", ""),
		"digits in place of hyphens": strings.ReplaceAll(uid, "-", "0"),
		"hyphens elsewhere":          "----" + strings.ReplaceAll(uid, "-", ""),
		"a letter that is no digit":  strings.Replace(uid, "f", "g", 1),
		"a space at the end":         uid + " ",
		"braces":                     "{" + uid[:34] + "}",
	} {
		t.Run(name, func(t *testing.T) {
			if u, ok := wire.ParseUUID(s); ok || u != (wire.UUID{}) {
				t.Errorf("%q is read as %v", s, u)
			}
		})
	}
}
