// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package serve

import (
	"errors"
	"net"
	"net/netip"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hallpass-dev/hallpass/internal/budget"
)

// offered is a listener in memory.
type offered struct {
	waiting chan net.Conn
}

func (o offered) Accept() (net.Conn, error) {
	if c, ok := <-o.waiting; ok {
		return c, nil
	}
	return nil, net.ErrClosed
}
func (o offered) Close() error   { return nil }
func (o offered) Addr() net.Addr { return &net.TCPAddr{} }

// peer is a connection from an address. It counts how often it is closed.
type peer struct {
	net.Conn

	address netip.AddrPort
	closed  atomic.Int64
}

func (p *peer) RemoteAddr() net.Addr { return net.TCPAddrFromAddrPort(p.address) }

func (p *peer) Read([]byte) (int, error) { return 1, nil }

func (p *peer) Close() error {
	p.closed.Add(1)
	return nil
}

func TestConnectionsAreSharedFairly(t *testing.T) {
	var offers []*peer
	listening := offered{make(chan net.Conn, 100)}
	offer := func(address string, n int) {
		for range n {
			p := &peer{address: netip.AddrPortFrom(netip.MustParseAddr(address), 4000)}
			offers = append(offers, p)
			listening.waiting <- p
		}
	}
	open := func(address string) (n int) {
		for _, p := range offers {
			if p.address.Addr().String() == address && p.closed.Load() == 0 {
				n++
			}
		}
		return n
	}
	closed := map[Bound]int{}
	l := NewFairListener(listening, Bounds{Sources: budget.Sources{}, Total: 10, PerSource: 6, Closed: func(bound Bound, _ netip.Prefix) { closed[bound]++ }})
	offer("10.0.0.1", 8) // two more than its share
	offer("10.0.0.2", 6) // four fit, two take the place of others
	offer("10.0.0.3", 2)
	offer("2001:db8::1", 1)
	offer("2001:db8::2", 1) // of the same /64
	close(listening.waiting)
	var accepted []net.Conn
	for {
		c, err := l.Accept()
		if err != nil {
			if !errors.Is(err, net.ErrClosed) {
				t.Fatal(err)
			}
			break
		}
		accepted = append(accepted, c)
	}
	waiting(t, "the evicted connections are open", func() bool { return open("10.0.0.1")+open("10.0.0.2") == 6 })
	if got := open("10.0.0.3"); got != 2 {
		t.Errorf("the source with few connections has %d open, want 2", got)
	}
	if got := open("2001:db8::1") + open("2001:db8::2"); got != 2 {
		t.Errorf("the source with addresses of one prefix has %d open, want 2", got)
	}
	if diff := cmp.Diff(map[Bound]int{BoundSource: 2, BoundTotal: 6}, closed); diff != "" {
		t.Errorf("connections that were reported as closed (-want +got):\n%s", diff)
	}
	if got := len(l.crowd.root.sources()); got != 4 {
		t.Errorf("connections are of %d sources, want 4", got)
	}
	if one, two := open("10.0.0.1"), open("10.0.0.2"); one < 2 || two < 2 {
		t.Errorf("the sources with many connections have %d and %d open", one, two)
	}
	for _, c := range accepted {
		_ = c.Close()
		_ = c.Close() // twice, as net/http may
	}
	if l.crowd.root.weight != 0 || len(l.crowd.branches) != 0 {
		t.Errorf("%d connections of %d sources and networks are still counted", l.crowd.root.weight, len(l.crowd.branches))
	}
}
