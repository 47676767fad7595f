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

// Sources groups addresses into sources, and sources into networks: budget.Sources does.
type Sources interface {
	// Of returns the source that an address belongs to.
	Of(address netip.Addr) netip.Prefix
	// Networks returns the networks around a source, the widest first. alone means that they
	// are no parties that share places and memory.
	Networks(source netip.Prefix) (networks []netip.Prefix, alone bool)
}

// addresses are Sources of one address each.
type addresses struct{}

func (addresses) Of(address netip.Addr) netip.Prefix {
	return netip.PrefixFrom(address, address.BitLen())
}

func (addresses) Networks(netip.Prefix) ([]netip.Prefix, bool) { return nil, true }

// Bounds limit what the callers of a listener can make the process hold. A zero field stands for
// its default.
type Bounds struct {
	// Total is the maximum of open connections over all sources.
	Total int
	// PerSource is the maximum of one source.
	PerSource int
	// Sources groups the addresses of callers. The default takes each address for a source.
	Sources Sources
	// PlainHTTP is called for each connection on which a caller of TLS sends plain HTTP; nil
	// counts none.
	PlainHTTP func()
	// Closed is called for each connection that is closed for a bound; nil reports none.
	Closed func(Bound, netip.Prefix)
	// Room is the memory that requests may hold. Listeners share it; without one, each has its
	// own.
	Room *Room
}

// FairListener limits the open connections in total and per source. It closes a connection beyond
// the limit of its source before the TLS handshake. If the total is reached, it closes a connection
// to accept one of a source with fewer: of the widest network with the most connections, in that of
// the narrower one with the most, and in that of the source with the most. So who opens thousands,
// from one address or from a network of them, evicts his own connections, and the first connection
// of a source is accepted. Of equal sources it closes the connection that was idle the longest.
type FairListener struct {
	net.Listener

	bounds Bounds
	// accepted is the number of connections that were accepted; it is the clock of idle ones.
	accepted atomic.Uint64

	mu    sync.Mutex
	crowd crowd
}

// NewFairListener returns a FairListener that accepts from listener.
func NewFairListener(listener net.Listener, bounds Bounds) *FairListener {
	if bounds.Room == nil {
		bounds.Room = NewRoom(DefaultRoom)
	}
	if bounds.Sources == nil {
		bounds.Sources = addresses{}
	}
	if bounds.Closed == nil {
		bounds.Closed = func(Bound, netip.Prefix) {}
	}
	return &FairListener{
		Listener: listener,
		bounds: Bounds{
			Total:     cmp.Or(bounds.Total, DefaultMaxConnections),
			PerSource: cmp.Or(bounds.PerSource, DefaultMaxConnectionsPerSource),
			Sources:   bounds.Sources,
			Room:      bounds.Room,
			PlainHTTP: bounds.PlainHTTP,
			Closed:    bounds.Closed,
		},
		crowd: crowd{sources: bounds.Sources, branches: map[netip.Prefix]*branch{}},
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
		c := &fairConn{Conn: accepted, listener: l, source: l.bounds.Sources.Of(addressOf(accepted.RemoteAddr()))}
		c.reads.put, c.writes.put = net.Conn.SetReadDeadline, net.Conn.SetWriteDeadline
		c.seen = l.accepted.Add(1)
		c.used.Store(c.seen)
		if l.bounds.Room.refuses(c.source) {
			c.refuse(BoundMemory)
			continue
		}
		evicted, full := l.admit(c)
		if evicted != nil {
			evicted.evict(BoundTotal)
		}
		if full != "" {
			c.refuse(full)
			continue
		}
		limitKernel(accepted)
		l.bounds.Room.enter(c)
		c.hold(connectionBytes)
		return c, nil
	}
}

// admit counts a connection if it is within the bounds. It returns the connection that is evicted
// for it, if there is one, or the bound that it is beyond.
func (l *FairListener) admit(c *fairConn) (evicted *fairConn, full Bound) {
	l.mu.Lock()
	defer l.mu.Unlock()
	source := l.crowd.of(c.source)
	switch {
	case source.weight >= l.bounds.PerSource:
		full = BoundSource
	case l.crowd.root.weight >= l.bounds.Total:
		if evicted = l.crowd.yielding(source); evicted == nil {
			full = BoundTotal
		}
	}
	if full != "" {
		l.crowd.prune(source)
		return nil, full
	}
	l.crowd.add(c, source)
	if evicted != nil { // after the other one, which may be of the same network
		l.crowd.remove(evicted)
	}
	return evicted, ""
}

// fairConn is a connection that is counted until it is closed, and what its requests hold.
type fairConn struct {
	net.Conn

	listener *FairListener
	source   netip.Prefix
	// branch is the connection among those of its listener, whose lock guards it. used is the
	// clock of the listener when the connection was last read from, and seen what it was when
	// another connection wanted the place.
	branch branch
	seen   uint64
	used   atomic.Uint64

	load   load
	record atomic.Int64 // load.record
	ahead  ahead

	reads, writes deadline

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
	n, err := c.receive(p)
	if n > 0 {
		if now := c.listener.accepted.Load(); now != c.used.Load() {
			c.used.Store(now)
		}
		c.tookAhead(n)
	}
	return n, err
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
	c.listener.crowd.remove(c)
	c.listener.mu.Unlock()
	c.load.room.leave(c)
}

// refuse closes a connection that was not counted.
func (c *fairConn) refuse(full Bound) {
	_ = c.Conn.Close()
	c.listener.bounds.Closed(full, c.source)
}

// evict closes a connection; its server gets an error and drops it. It also drops what the kernel
// holds for the connection: a caller that takes nothing would let it be held for minutes.
func (c *fairConn) evict(full Bound) {
	c.uncount()
	if c.load.leave() {
		c.listener.bounds.Closed(full, c.source)
	}
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
		// a connection that is closed already fails later too
		_ = tcp.SetWriteBuffer(kernelSend)
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
