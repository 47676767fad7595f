// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package serve

import (
	"net/http"
	"sync/atomic"
)

const (
	// freeHeader is how much of a request of HTTP/1.1 is not counted before its headers end,
	// and headerFactor is what each further byte takes: a header of four bytes takes 120.
	freeHeader   = 1 << 10
	headerFactor = 26
	// maxHeader is how much of a request net/http reads before it refuses its headers.
	maxHeader = maxHeaderBytes + 4<<10
	// freeMessage is how much of a message of TLS is not counted before it ends, and
	// messageFactor is what each further byte takes: the buffer of the message doubles.
	freeMessage   = 4 << 10
	messageFactor = 2
	// freeBody is the length up to which the body of a request of HTTP/1.1 is part of
	// requestBytes.
	freeBody = 4 << 10
	// maxBody is the longest body that an endpoint reads.
	maxBody = streamBuffer
)

// phase is what a connection reads.
type phase = int32

const (
	handshaking phase = iota
	readingRequests
	readingStreams
)

// ahead counts what was read of a connection and belongs to no request yet: a half message of TLS,
// or headers of HTTP/1.1 without their end. TLS hides which it is, so its bytes are counted below
// it. Nothing is locked while that is as little as for most requests.
type ahead struct {
	phase atomic.Int32
	// bytes is negative by what is still to be read of a body.
	bytes atomic.Int64
	// last is what the last read of the handshake returned; load.mu guards it.
	last int64
}

// cost is what the bytes take that were read ahead.
func (a *ahead) cost() int {
	n := int(a.bytes.Load())
	if a.phase.Load() == readingRequests {
		return headerFactor * min(max(0, n-freeHeader), maxHeader)
	}
	return messageFactor * max(0, n-freeMessage)
}

// tookAhead counts bytes that were read.
func (c *fairConn) tookAhead(n int) {
	if c.ahead.phase.Load() == handshaking {
		c.load.mu.Lock()
		c.ahead.last = int64(n)
		c.ahead.bytes.Add(int64(n))
		c.load.mu.Unlock()
	} else {
		c.ahead.bytes.Add(int64(n))
	}
	if c.ahead.cost() > 0 {
		c.settleAhead()
	}
}

// settleAhead counts what the bytes that were read ahead take now.
func (c *fairConn) settleAhead() {
	c.load.mu.Lock()
	cost := c.ahead.cost()
	added := cost > c.load.ahead
	c.load.add(cost - c.load.ahead)
	c.load.ahead = cost
	c.load.mu.Unlock()
	if added {
		c.makeRoom()
	}
}

// handshaken begins to count requests of HTTP/1.1. What the handshake took stays counted: TLS keeps
// its buffer. The last read may have brought a part of a request with the end of the handshake.
func (c *fairConn) handshaken() {
	c.load.mu.Lock()
	if c.ahead.phase.Load() == handshaking {
		c.load.ahead = 0
		c.ahead.bytes.Store(c.ahead.last)
		c.ahead.phase.Store(readingRequests) // from here on reads take no lock
	}
	c.load.mu.Unlock()
	if c.ahead.cost() > 0 {
		c.settleAhead()
	}
}

// beganStreams begins to count the streams of HTTP/2.
func (c *fairConn) beganStreams() {
	c.load.mu.Lock()
	if c.ahead.phase.Swap(readingStreams) == handshaking {
		c.load.ahead = 0
	}
	c.ahead.bytes.Store(0)
	c.load.mu.Unlock()
	c.settleAhead()
}

// requested gives the bytes that were read ahead to a request of HTTP/1.1 whose headers have ended.
// It returns what the body of the request takes, and begin counts both. What was read beyond the
// request stays counted: the next request may have begun.
func (c *fairConn) requested(w http.ResponseWriter, r *http.Request) (body int) {
	if c.ahead.phase.Load() == handshaking { // its goroutine has not run again yet
		c.handshaken()
	}
	length := min(r.ContentLength, maxBody)
	if length < 0 { // of unknown length: what follows the body must not begin a request
		w.Header().Set("Connection", "close")
		length = maxBody
	}
	read, rest := c.ahead.bytes.Load(), -length
	if read > freeHeader {
		if rest += read - headerBytes(r); rest <= freeHeader {
			rest = max(-length, min(rest, 0))
		}
	}
	c.ahead.bytes.Add(rest - read) // the server may be reading
	if length <= freeBody {
		return 0
	}
	return 2 * int(length)
}

// headerBytes is the length of the headers of a request.
func headerBytes(r *http.Request) int64 {
	n := len(r.Method) + len(r.RequestURI) + len(" HTTP/1.1\r\n") + len("Host: \r\n") + len(r.Host) + len("\r\n")
	for name, values := range r.Header {
		for _, value := range values {
			n += len(name) + len(": ") + len(value) + len("\r\n")
		}
	}
	return int64(n)
}
