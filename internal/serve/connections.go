// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package serve

import (
	"net"
	"net/netip"
	"sync"
)

// The bounds on open connections. An idle one with TLS holds some 40 KiB, so all of them stay below 160 MiB.
const (
	DefaultMaxConnections          = 4096
	DefaultMaxConnectionsPerSource = 1024
)

// FairListener bounds the connections that are open, in all and by source. Beyond its own bound a source is hung up on, before
// TLS costs anything. When there is no room at all, a connection of the source that holds the most makes way for one of a source
// that holds fewer: whoever opens thousands takes them from itself, and who has few gets in.
type FairListener struct {
	net.Listener

	total, perSource int

	mu      sync.Mutex
	open    int
	sources map[netip.Prefix]map[*fairConn]struct{}
}

func NewFairListener(listener net.Listener, total, perSource int) *FairListener {
	return &FairListener{Listener: listener, total: total, perSource: perSource, sources: map[netip.Prefix]map[*fairConn]struct{}{}}
}

// Accept waits for a connection for which there is room. The others are closed.
func (l *FairListener) Accept() (net.Conn, error) {
	for {
		accepted, err := l.Listener.Accept()
		if err != nil {
			return nil, err //nolint:wrapcheck // net/http looks at what kind of error it is
		}
		c := &fairConn{Conn: accepted, listener: l, source: sourcePrefix(accepted.RemoteAddr())}
		evicted, ok := l.admit(c)
		if evicted != nil {
			_ = evicted.Conn.Close() // its server notices, and forgets it
		}
		if ok {
			return c, nil
		}
		_ = accepted.Close()
	}
}

// admit counts a connection if there is room for it, and returns the one that made way.
func (l *FairListener) admit(c *fairConn) (evicted *fairConn, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	held := len(l.sources[c.source])
	if held >= l.perSource {
		return nil, false
	}
	if l.open >= l.total {
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

// heaviest is some connection of the source that holds the most, if that is more than what the other one would have.
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

// remove forgets a connection, once.
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

// fairConn gives its place back when it is closed.
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
	return c.Conn.Close() //nolint:wrapcheck // a net.Conn hands on what its connection says
}

// sourcePrefix is whom a connection counts for: its address, or the /64 of IPv6 that one host can take addresses from.
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
