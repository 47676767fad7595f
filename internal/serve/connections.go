// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package serve

import (
	"cmp"
	"net"
	"net/netip"
	"sync"
)

// The default bounds on open connections. An idle TLS connection takes some 40 KiB of memory, so
// all of them stay below 160 MiB.
const (
	DefaultMaxConnections          = 4096
	DefaultMaxConnectionsPerSource = 1024
)

// Bounds limit the open connections of a listener. A zero field stands for its default.
type Bounds struct {
	// Total is the maximum over all sources.
	Total int
	// PerSource is the maximum of one source: an IPv4 address or an IPv6 /64.
	PerSource int
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
	return &FairListener{
		Listener: listener,
		bounds: Bounds{
			Total:     cmp.Or(bounds.Total, DefaultMaxConnections),
			PerSource: cmp.Or(bounds.PerSource, DefaultMaxConnectionsPerSource),
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
		c := &fairConn{Conn: accepted, listener: l, source: sourcePrefix(accepted.RemoteAddr())}
		evicted, ok := l.admit(c)
		if evicted != nil {
			_ = evicted.Conn.Close() // its server gets an error and drops the connection
		}
		if ok {
			return c, nil
		}
		_ = accepted.Close()
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

// fairConn is a connection that is counted until it is closed.
type fairConn struct {
	net.Conn

	listener *FairListener
	source   netip.Prefix
}

// Close implements net.Conn.
func (c *fairConn) Close() error {
	c.listener.mu.Lock()
	c.listener.remove(c)
	c.listener.mu.Unlock()
	return c.Conn.Close() //nolint:wrapcheck // the error of the connection is returned unchanged
}

// sourcePrefix returns the source of a connection: its IPv4 address, or the /64 of its IPv6
// address, because one host can use all addresses of a /64.
func sourcePrefix(remote net.Addr) netip.Prefix {
	tcp, ok := remote.(*net.TCPAddr)
	if !ok {
		return netip.Prefix{}
	}
	address := tcp.AddrPort().Addr().Unmap().WithZone("")
	bits := address.BitLen()
	if address.Is6() {
		bits = 64
	}
	prefix, err := address.Prefix(bits)
	if err != nil {
		return netip.Prefix{}
	}
	return prefix
}
