// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

// Package wire encodes and decodes binary forms: varints (those of encoding/binary), strings with
// their length before them, and UUIDs as 16 bytes. The snapshot of the token server and usage
// reports are written with it. It depends on the standard library alone.
package wire

import "encoding/binary"

// Writer appends values to Bytes.
type Writer struct{ Bytes []byte }

// Byte appends one byte.
func (w *Writer) Byte(b byte) { w.Bytes = append(w.Bytes, b) }

// Raw appends a string without its length.
func (w *Writer) Raw(s string) { w.Bytes = append(w.Bytes, s...) }

// Varint appends a signed number.
func (w *Writer) Varint(n int64) { w.Bytes = binary.AppendVarint(w.Bytes, n) }

// Uvarint appends an unsigned number.
func (w *Writer) Uvarint(n uint64) { w.Bytes = binary.AppendUvarint(w.Bytes, n) }

// Text appends a string after its length, a signed number.
func (w *Writer) Text(s string) {
	w.Varint(int64(len(s)))
	w.Raw(s)
}

// Reader decodes what Writer wrote. If the input is truncated or malformed, the Reader fails: it
// then returns zero values only, so that a caller checks Failed or Done once at the end. The
// strings that it returns are substrings of the input.
type Reader struct {
	rest   string
	failed bool
}

// NewReader returns a Reader of a string.
func NewReader(s string) Reader { return Reader{rest: s} }

// Fail makes the Reader fail.
func (r *Reader) Fail() { r.failed, r.rest = true, "" }

// Failed reports whether the Reader has failed.
func (r *Reader) Failed() bool { return r.failed }

// Done reports whether the whole input was read without a failure.
func (r *Reader) Done() bool { return !r.failed && r.rest == "" }

// Len returns the number of bytes that are left.
func (r *Reader) Len() int { return len(r.rest) }

// Raw reads a string of n bytes.
func (r *Reader) Raw(n int) string {
	if n < 0 || n > len(r.rest) {
		r.Fail()
		return ""
	}
	s := r.rest[:n]
	r.rest = r.rest[n:]
	return s
}

// Byte reads one byte.
func (r *Reader) Byte() byte {
	if s := r.Raw(1); s != "" {
		return s[0]
	}
	return 0
}

// Varint reads a signed number.
func (r *Reader) Varint() int64 {
	n := r.Uvarint()
	return int64(n>>1) ^ -int64(n&1)
}

// Uvarint reads an unsigned number. It refuses an encoding that is longer than necessary, so that a
// number has one encoding only.
func (r *Reader) Uvarint() uint64 {
	if r.rest != "" && r.rest[0] < 0x80 { // most numbers are lengths and take one byte
		n := uint64(r.rest[0])
		r.rest = r.rest[1:]
		return n
	}
	return r.longUvarint()
}

func (r *Reader) longUvarint() uint64 {
	var buffer [binary.MaxVarintLen64]byte
	n, size := binary.Uvarint(buffer[:copy(buffer[:], r.rest)])
	if size <= 0 || size > 1 && r.rest[size-1] == 0 {
		r.Fail()
		return 0
	}
	r.rest = r.rest[size:]
	return n
}

// Count reads the number of elements that follow, a signed number. Each element takes a byte at
// least, so a number greater than Len is malformed.
func (r *Reader) Count() int {
	n := r.Varint()
	if n < 0 || n > int64(len(r.rest)) {
		r.Fail()
		return 0
	}
	return int(n)
}

// Text reads a string after its length.
func (r *Reader) Text() string { return r.Raw(r.Count()) }
