// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package serve

import (
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"net"
	"sync/atomic"
)

// errFlood ends a connection that opens streams, or asks for frames, without end.
var errFlood = errors.New("more streams or frames of control than are allowed")

const (
	// maxControl is how many frames may make the server queue another one while their caller
	// takes none, and controlBytes what a queued frame takes.
	maxControl   = 1000
	controlBytes = 128
	// writeBuffer is the size of the buffer of HTTP/2 in front of a connection. A shorter write
	// empties it, which happens when no frame of control is queued.
	writeBuffer = 4 << 10
)

// Work admits the requests of a connection to be worked on.
type Work struct{ load *load }

// Begin waits while the caller of the connection does not take its answers. It returns false if the
// request ends meanwhile; otherwise End must be called when the request is answered.
func (w Work) Begin(ctx context.Context) bool { return w.load.begin(ctx) }

// End is called when a request is answered.
func (w Work) End() { w.load.answered() }

// Meter counts what the streams of an HTTP/2 connection hold, from their frames. accepted is the
// connection that a FairListener accepted, and plain is what carries the frames: the same
// connection, or that of TLS above it. It returns what is to be used in the place of plain. If
// accepted is of another listener, it returns plain, and false.
func Meter(accepted, plain net.Conn) (net.Conn, Work, bool) {
	c, ok := accepted.(*fairConn)
	if !ok {
		return plain, Work{}, false
	}
	m := metered{Conn: plain, on: c}
	m.in.skip = len(preface)
	c.beganStreams()
	c.hold(framesBytes)
	return &m, Work{&c.load}, true
}

// preface is what the client of an HTTP/2 connection sends before its frames (RFC 9113 section
// 3.4).
const preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

// metered is an HTTP/2 connection whose frames are counted.
type metered struct {
	net.Conn

	on      *fairConn
	in, out frames
	// control is the number of frames that were read since none was queued for them.
	control atomic.Int64
}

// ConnectionState is that of TLS; net/http wants it.
func (m *metered) ConnectionState() tls.ConnectionState {
	if c, ok := m.Conn.(*tls.Conn); ok {
		return c.ConnectionState()
	}
	return tls.ConnectionState{}
}

// Read implements net.Conn.
func (m *metered) Read(p []byte) (int, error) {
	n, err := m.Conn.Read(p)
	load, flood, added := &m.on.load, false, false
	load.mu.Lock()
	if n > 0 {
		m.on.ahead.bytes.Store(0)
		load.add(-load.ahead)
		load.ahead = 0
	}
	for rest := p[:n]; len(rest) > 0; {
		var f frame
		var ok bool
		if f, rest, ok = m.in.next(rest); !ok {
			break
		}
		load.keeps(&load.frame, f.length)
		switch f.kind {
		case frameHeaders:
			load.opened(f.stream)
			added = true
			flood = flood || len(load.open) > maxOpen
		case frameData:
			load.received(f.stream, f.length)
			added = true
		case frameReset:
			load.closed(f.stream)
		}
		if f.asksForControl(load) {
			load.add(controlBytes)
			added = true
			flood = m.control.Add(1) > maxControl || flood
		}
	}
	load.mu.Unlock()
	if added {
		m.on.makeRoom()
	}
	if flood {
		return 0, errFlood
	}
	return n, err //nolint:wrapcheck // the server checks for io.EOF
}

// Write implements net.Conn.
func (m *metered) Write(p []byte) (int, error) {
	if len(p) < writeBuffer && m.control.Load() > 0 {
		m.on.load.mu.Lock()
		m.on.load.add(-controlBytes * int(m.control.Swap(0)))
		m.on.load.mu.Unlock()
	}
	n, err := m.Conn.Write(p)
	load := &m.on.load
	load.mu.Lock()
	for rest := p[:n]; len(rest) > 0; {
		var f frame
		var ok bool
		if f, rest, ok = m.out.next(rest); !ok {
			break
		}
		if f.kind == frameReset || (f.kind == frameData || f.kind == frameHeaders) && f.flags&endStream != 0 {
			load.closed(f.stream)
		}
	}
	load.mu.Unlock()
	return n, err //nolint:wrapcheck // as above
}

// The frames that begin, carry and end a stream, and those of control (RFC 9113 section 6).
const (
	frameData     = 0x0
	frameHeaders  = 0x1
	framePriority = 0x2
	frameReset    = 0x3
	frameSettings = 0x4
	framePing     = 0x6
	endStream     = 0x1
	acknowledges  = 0x1
)

// frame is the header of a frame.
type frame struct {
	kind, flags byte
	stream      uint32
	length      int
}

// asksForControl reports whether a frame may make the server queue a frame of control: an
// acknowledgement, a reset of a stream that has ended, or the window of its body.
func (f frame) asksForControl(l *load) bool {
	switch f.kind {
	case framePing, frameSettings:
		return f.flags&acknowledges == 0
	case framePriority, frameReset:
		return true
	case frameData:
		return !l.has(f.stream)
	}
	return false
}

// frames finds the headers of frames in what passes, in parts of any length.
type frames struct {
	header [9]byte
	have   int // bytes of the header
	skip   int // bytes before the next header
}

// next returns the next header that is complete in p, and what follows it.
func (f *frames) next(p []byte) (frame, []byte, bool) {
	if f.skip >= len(p) {
		f.skip -= len(p)
		return frame{}, nil, false
	}
	p = p[f.skip:]
	f.skip = 0
	n := copy(f.header[f.have:], p)
	if f.have += n; f.have < len(f.header) {
		return frame{}, nil, false
	}
	h := frame{
		kind: f.header[3], flags: f.header[4], stream: binary.BigEndian.Uint32(f.header[5:]) &^ (1 << 31),
		length: int(f.header[0])<<16 | int(f.header[1])<<8 | int(f.header[2]),
	}
	f.have, f.skip = 0, h.length
	return h, p[n:], true
}
