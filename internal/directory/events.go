// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package directory

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"

	"k8s.io/apimachinery/pkg/runtime"
)

// eventFramer divides the stream of a watch into events. That of client-go takes three times as
// long.
type eventFramer struct{ runtime.Framer }

// NewFrameReader implements runtime.Framer.
func (f eventFramer) NewFrameReader(from io.ReadCloser) io.ReadCloser {
	return &eventReader{Closer: from, from: bufio.NewReader(from), framer: f.Framer}
}

// eventReader finds the end of each event by counting braces, and validates it as a whole. It
// leaves the stream to the reader of client-go from the first event on that is not one object.
type eventReader struct {
	io.Closer

	from *bufio.Reader
	// event has an event in a buffer that is used again, and rest what was not read of it.
	event, rest []byte
	framer      runtime.Framer
	otherwise   io.Reader
}

// Read implements io.Reader as runtime.Framer has it: it returns io.ErrShortBuffer unless the event
// is complete.
func (r *eventReader) Read(into []byte) (int, error) {
	if r.otherwise == nil && len(r.rest) == 0 {
		r.next()
	}
	if r.otherwise != nil {
		return r.otherwise.Read(into) //nolint:wrapcheck // it replaces the reader
	}
	n := copy(into, r.rest)
	if r.rest = r.rest[n:]; len(r.rest) > 0 {
		return n, io.ErrShortBuffer
	}
	return n, nil
}

// next reads an event as soon as it has arrived.
func (r *eventReader) next() {
	r.event = r.event[:0]
	var n nesting
	for complete := false; !complete; {
		if _, err := r.from.Peek(1); err != nil {
			break // what has arrived is no event, and the error comes again
		}
		arrived, _ := r.from.Peek(r.from.Buffered())
		var end int
		end, complete = n.end(arrived)
		r.event = append(r.event, arrived[:end]...)
		_, _ = r.from.Discard(end)
	}
	if r.rest = bytes.TrimLeft(r.event, "\r\n"); len(r.rest) > 0 && r.rest[0] == '{' && json.Valid(r.rest) {
		return
	}
	r.otherwise = r.framer.NewFrameReader(io.NopCloser(io.MultiReader(bytes.NewReader(r.event), r.from)))
}

// nesting is where a text is in a JSON object.
type nesting struct {
	depth           int
	inText, escaped bool
}

// end returns how much of the next part of a text belongs to the object, and whether that is its
// end. A text that begins with no object ends at once.
func (n *nesting) end(part []byte) (end int, complete bool) {
	for i, c := range part {
		switch {
		case n.escaped:
			n.escaped = false
		case n.inText && c < ' ': // no JSON; more that arrives does not mend it
			return i + 1, true
		case n.inText:
			n.escaped = c == '\\'
			n.inText = c != '"'
		case c == '{', c == '[':
			n.depth++
		case c == '}', c == ']':
			if n.depth--; n.depth <= 0 {
				return i + 1, true
			}
		case c == '"':
			n.inText = true
		}
		if n.depth == 0 && c != '\n' && c != '\r' {
			return i + 1, true
		}
	}
	return len(part), false
}
