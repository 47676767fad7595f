// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package serve

import (
	"cmp"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
)

// The default bounds on open connections. What they may hold is bounded by DefaultRoom.
const (
	DefaultMaxConnections          = 4096
	DefaultMaxConnectionsPerSource = 1024
)

// Bounds limit what the callers of a listener can make the process hold. A zero field stands for its
// default.
type Bounds struct {
	// Total is the maximum of open connections over all sources.
	Total int
	// PerSource is the maximum of one source.
	PerSource int
	// Source returns the source that an address belongs to. The default takes each address for one.
	Source func(netip.Addr) netip.Prefix
	// PlainHTTP is called for each connection on which a caller of TLS sends plain HTTP; nil counts none.
	PlainHTTP func()
	// Room is the memory that requests may hold. Listeners share it; without one, each has its own.
	Room *Room
}

// FairListener limits the open connections in total and per source. It closes a connection beyond
// the limit of its source before the TLS handshake. If the total is reached, it closes a connection
// of the source with the most connections to accept one of a source with fewer: a source that opens
// thousands evicts its own connections, and one with few is accepted.
type FairListener struct {
	net.Listener

	bounds Bounds

	mu      sync.Mutex
	open    int
	sources map[netip.Prefix]map[*fairConn]struct{}
}

// NewFairListener returns a FairListener that accepts from listener.
func NewFairListener(listener net.Listener, bounds Bounds) *FairListener {
	if bounds.Room == nil {
		bounds.Room = NewRoom(DefaultRoom)
	}
	if bounds.Source == nil {
		bounds.Source = func(address netip.Addr) netip.Prefix { return netip.PrefixFrom(address, address.BitLen()) }
	}
	return &FairListener{
		Listener: listener,
		bounds: Bounds{
			Total:     cmp.Or(bounds.Total, DefaultMaxConnections),
			PerSource: cmp.Or(bounds.PerSource, DefaultMaxConnectionsPerSource),
			Source:    bounds.Source,
			Room:      bounds.Room,
			PlainHTTP: bounds.PlainHTTP,
		},
		sources: map[netip.Prefix]map[*fairConn]struct{}{},
	}
}

// Accept implements net.Listener. It returns the next connection within the bounds and closes those
// beyond them.
func (l *FairListener) Accept() (net.Conn, error) {
	for {
		accepted, err := l.Listener.Accept()
		if err != nil {
			return nil, err //nolint:wrapcheck // net/http checks the type of the error
		}
		c := &fairConn{Conn: accepted, listener: l, source: l.bounds.Source(addressOf(accepted.RemoteAddr()))}
		if l.bounds.Room.refuses(c.source) {
			_ = accepted.Close()
			continue
		}
		evicted, ok := l.admit(c)
		if evicted != nil {
			evicted.evict()
		}
		if !ok {
			_ = accepted.Close()
			continue
		}
		limitKernel(accepted)
		l.bounds.Room.enter(c)
		c.hold(connectionBytes)
		return c, nil
	}
}

// admit counts a connection if it is within the bounds. It returns the connection that is evicted
// for it, if there is one.
func (l *FairListener) admit(c *fairConn) (evicted *fairConn, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	held := len(l.sources[c.source])
	if held >= l.bounds.PerSource {
		return nil, false
	}
	if l.open >= l.bounds.Total {
		if evicted = l.heaviest(held + 1); evicted == nil {
			return nil, false
		}
		l.remove(evicted)
	}
	if held == 0 {
		l.sources[c.source] = map[*fairConn]struct{}{}
	}
	l.sources[c.source][c] = struct{}{}
	l.open++
	return evicted, true
}

// heaviest returns a connection of the source with the most connections. It returns nil if no
// source has more than the given number.
func (l *FairListener) heaviest(than int) *fairConn {
	var most map[*fairConn]struct{}
	for _, held := range l.sources {
		if len(held) > max(than, len(most)) {
			most = held
		}
	}
	for c := range most {
		return c
	}
	return nil
}

// remove uncounts a connection; it is a no-op if the connection is not counted.
func (l *FairListener) remove(c *fairConn) {
	held := l.sources[c.source]
	if _, there := held[c]; !there {
		return
	}
	l.open--
	if delete(held, c); len(held) == 0 {
		delete(l.sources, c.source)
	}
}

// fairConn is a connection that is counted until it is closed, and what its requests hold.
type fairConn struct {
	net.Conn

	listener *FairListener
	source   netip.Prefix

	load   load
	record atomic.Int64 // load.record

	// reading is closed when the first read begins; it is nil if nothing waits for that.
	reading chan struct{}
}

// Read implements net.Conn. The room that TLS has for what it reads is the longest record so far; a
// buffer that grows is twice as long then.
func (c *fairConn) Read(p []byte) (int, error) {
	if c.reading != nil {
		close(c.reading)
		c.reading = nil
	}
	if 2*len(p) > int(c.record.Load()) {
		c.grow(2 * len(p))
	}
	return c.Conn.Read(p) //nolint:wrapcheck // the server checks for io.EOF
}

func (c *fairConn) grow(n int) {
	c.load.mu.Lock()
	c.load.keeps(&c.load.record, n)
	c.record.Store(int64(c.load.record))
	c.load.mu.Unlock()
	c.makeRoom()
}

// Close implements net.Conn.
func (c *fairConn) Close() error {
	c.uncount()
	c.load.end()
	return c.Conn.Close() //nolint:wrapcheck // the error of the connection is returned unchanged
}

// uncount removes the connection from those that are open.
func (c *fairConn) uncount() {
	c.listener.mu.Lock()
	c.listener.remove(c)
	c.listener.mu.Unlock()
	c.load.room.leave(c)
}

// evict closes a connection; its server gets an error and drops it. It also drops what the kernel
// holds for the connection: a caller that takes nothing would let it be held for minutes.
func (c *fairConn) evict() {
	c.uncount()
	c.load.leave()
	if tcp, ok := c.Conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	go func() { _ = c.Conn.Close() }() // it waits for the goroutines that read and write
}

// kernelSend is what the kernel takes of answers before their caller reads them. It grows to
// several MiB otherwise, and counts for the container.
const kernelSend = 64 << 10

// limitKernel bounds what the kernel holds for a connection.
func limitKernel(accepted net.Conn) {
	if tcp, ok := accepted.(*net.TCPConn); ok {
		_ = tcp.SetWriteBuffer(kernelSend) // a connection that is closed already fails later too
	}
}

// addressOf returns the address of a caller, or none if it has no address.
func addressOf(remote net.Addr) netip.Addr {
	tcp, ok := remote.(*net.TCPAddr)
	if !ok {
		return netip.Addr{}
	}
	return tcp.AddrPort().Addr()
}
