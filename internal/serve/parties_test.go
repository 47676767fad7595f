// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package serve

import (
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"slices"
	"testing"

	"github.com/hallpass-dev/hallpass/internal/budget"
)

// crowded is a full listener with one connection of each of 4,096 hostile sources.
type crowded struct {
	*FairListener

	t         testing.TB
	listening offered
	open      map[string]int // connections by the source
}

// hostile4 is an address of 198.18.0.0/16 or of another network of that length. Of each /24 it has
// as many as of another one.
func hostile4(network string) func(i int) netip.Addr {
	first := netip.MustParseAddr(network).As4()
	return func(i int) netip.Addr {
		return netip.AddrFrom4([4]byte{first[0], first[1], byte(i), byte(i >> 8)}) //nolint:gosec // parts of it
	}
}

// hostile6 is an address of a /64 of 2001:db8:1::/48. Of each /56 it has as many as of another one.
func hostile6(i int) netip.Addr {
	a := netip.MustParseAddr("2001:db8:1::1").As16()
	binary.BigEndian.PutUint16(a[6:], uint16(i<<8|i>>8)) //nolint:gosec // parts of it
	return netip.AddrFrom16(a)
}

// hostilePods are addresses of one /64.
func hostilePods(i int) netip.Addr {
	a := netip.MustParseAddr("fd00:1::").As16()
	binary.BigEndian.PutUint32(a[12:], uint32(i+1000)) //nolint:gosec // a few thousand
	return netip.AddrFrom16(a)
}

func newCrowded(t testing.TB, hostile func(int) netip.Addr, own ...netip.Prefix) *crowded {
	t.Helper()
	c := &crowded{t: t, listening: offered{make(chan net.Conn, 1)}, open: map[string]int{}}
	c.FairListener = NewFairListener(c.listening, Bounds{Sources: budget.Sources{OwnPrefixes: own}, Room: NewRoom(1 << 40), Closed: func(_ Bound, source netip.Prefix) {
		c.open[source.String()]--
	}})
	for i := range DefaultMaxConnections {
		c.offer(hostile(i))
	}
	return c
}

// offer has a connection accepted or refused. It returns nil if the connection was refused.
func (c *crowded) offer(from netip.Addr) *fairConn {
	c.t.Helper()
	p := &peer{address: netip.AddrPortFrom(from, 4000)}
	c.open[c.bounds.Sources.Of(from).String()]++
	c.listening.waiting <- p
	ended := c.listening.waiting
	close(ended) // the listener returns either the connection or the end
	conn, err := c.Accept()
	c.listening.waiting = make(chan net.Conn, 1)
	c.Listener = c.listening
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	fair, ok := conn.(*fairConn)
	if !ok {
		c.t.Fatalf("%T was accepted: %v", conn, err)
	}
	return fair
}

// has is how many connections of a source are open.
func (c *crowded) has(from string) int {
	return c.open[c.bounds.Sources.Of(netip.MustParseAddr(from)).String()]
}

// children are those of a branch, the heaviest first.
func (b *branch) children() (children []*branch) {
	for _, g := range slices.Backward(b.groups) {
		for at := g.children.Front(); at != nil; at = at.Next() {
			child, _ := at.Value.(*branch)
			children = append(children, child)
		}
	}
	return children
}

// sources are those in a network.
func (b *branch) sources() (sources []*branch) {
	for _, c := range b.children() {
		if c.connection != nil {
			return []*branch{b}
		}
		sources = append(sources, c.sources()...)
	}
	return sources
}

// connections are those of a source.
func (b *branch) connections() (connections []*fairConn) {
	for _, c := range b.children() {
		connections = append(connections, c.connection)
	}
	return connections
}

// Thousands of sources of one network with one connection each take the place of each other, and
// not of honest sources: neither of those of other networks, nor of those inside that are not idle.
func TestManySourcesOfANetworkDisplaceThemselves(t *testing.T) {
	pods := netip.MustParsePrefix("fd00::/16")
	for name, c := range map[string]struct {
		hostile           func(int) netip.Addr
		elsewhere, inside string
		many              int // how many connections the source elsewhere gets
	}{
		"a /16":                          {hostile4("198.18.0.0"), "203.0.113.7", "198.18.7.200", 20},
		"a /16, beside a pod":            {hostile4("198.18.0.0"), "10.244.3.7", "198.18.7.200", 20},
		"a /48":                          {hostile6, "2001:db8:2::1", "2001:db8:1:7ff::1", 20},
		"a /48, beside IPv4":             {hostile6, "203.0.113.7", "2001:db8:1:7ff::1", 20},
		"the pods of a cluster":          {hostile4("10.244.0.0"), "203.0.113.7", "10.244.7.200", 1},
		"the pods of a cluster, by IPv6": {hostilePods, "203.0.113.7", "fd00:1::7", 1},
	} {
		t.Run(name, func(t *testing.T) {
			l := newCrowded(t, c.hostile, pods)
			inside := l.offer(netip.MustParseAddr(c.inside))
			if inside == nil {
				t.Fatal("the first connection of a source of the network is refused")
			}
			var elsewhere []*fairConn
			for i := range c.many {
				conn := l.offer(netip.MustParseAddr(c.elsewhere))
				if conn == nil {
					t.Fatalf("connection %d of a source elsewhere is refused", i)
				}
				elsewhere = append(elsewhere, conn)
			}
			for i := range DefaultMaxConnections { // from as many addresses more
				l.offer(c.hostile(DefaultMaxConnections + i))
				if i%100 == 0 {
					for _, conn := range append(elsewhere, inside) {
						if _, err := conn.Read(make([]byte, 1)); err != nil {
							t.Fatal(err)
						}
					}
				}
			}
			if got := l.has(c.elsewhere); got != c.many {
				t.Errorf("the source elsewhere has %d connections, want %d", got, c.many)
			}
			if got := l.has(c.inside); got != 1 {
				t.Errorf("the source inside has %d connections, want 1", got)
			}
			l.mu.Lock()
			defer l.mu.Unlock()
			if l.crowd.root.weight != DefaultMaxConnections {
				t.Errorf("%d connections are open", l.crowd.root.weight)
			}
		})
	}
}

// Sources of many networks do not take the places of the pods of a cluster, which have one network:
// private addresses, and those of own prefixes, are compared one by one.
func TestTheNetworkOfAClusterIsNoParty(t *testing.T) {
	l := newCrowded(t, hostile4("10.244.0.0"))
	const each = 10
	for i := range 100 {
		for range each {
			l.offer(netip.AddrFrom4([4]byte{byte(20 + i), 1, 1, 1}))
		}
	}
	pods := 0
	for source, n := range l.open {
		if netip.MustParsePrefix(source).Addr().IsPrivate() {
			pods += n
		}
	}
	if lost := DefaultMaxConnections - pods; lost > 100 {
		t.Errorf("100 sources elsewhere displaced %d connections of pods", lost)
	}
}

func TestPartiesAreForgottenWithTheirConnections(t *testing.T) {
	l := newCrowded(t, hostile4("198.18.0.0"))
	var open []*fairConn
	l.mu.Lock()
	for _, source := range l.crowd.root.sources() {
		open = append(open, source.connections()...)
	}
	l.mu.Unlock()
	room := l.bounds.Room
	room.mu.Lock()
	room.heaviest(open[0].load.holder)
	room.mu.Unlock()
	for _, c := range open {
		_ = c.Close()
		_ = c.Close() // twice, as net/http may
	}
	if l.crowd.root.weight != 0 || len(l.crowd.branches)+len(room.holders)+len(room.networks) != 0 {
		t.Errorf("%d connections of %d sources and networks are counted; in the room %d of %d", l.crowd.root.weight, len(l.crowd.branches), len(room.holders), len(room.networks))
	}
}

// Many sources of one network, each of which holds little, lose their connections before a source
// of another network that holds more than each of them.
func TestANetworkThatHoldsTheMostLosesAConnection(t *testing.T) {
	const sources = 100
	a := newAccepting(t, 16<<20)
	for i := range sources {
		a.offer(hostile4("198.18.0.0")(i).String())
		a.accept(140 << 10)
	}
	honest := a.offer("203.0.113.7")
	a.accept(1 << 20)
	if honest.closed.Load() != 0 || len(a.closed) == 0 {
		t.Errorf("the honest connection is closed: %d; of others: %d", honest.closed.Load(), len(a.closed))
	}
	for source := range a.closed {
		if !netip.MustParsePrefix("198.18.0.0/16").Contains(netip.MustParseAddr(source)) {
			t.Errorf("a connection of %s was closed", source)
		}
	}
}

// BenchmarkAcceptFull is the cost of a connection when all places are taken, by as many sources.
func BenchmarkAcceptFull(b *testing.B) {
	for name, hostile := range map[string]func(int) netip.Addr{"one network": hostile4("198.18.0.0"), "private": hostile4("10.244.0.0")} {
		b.Run(name, func(b *testing.B) {
			c := newCrowded(b, hostile)
			for i := 0; b.Loop(); i++ {
				c.offer(hostile(DefaultMaxConnections + i))
			}
		})
	}
}
