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
