// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package serve

import "net/netip"

// crowd is a tree of open connections by source and network. The children of each branch are in
// groups of equal weight, so that the heaviest one is found at once however many there are.
type crowd struct {
	sources  Sources
	root     branch
	branches map[netip.Prefix]*branch
}

// branch is a network, a source or a connection. Its weight is the number of its connections.
type branch struct {
	key        netip.Prefix
	connection *fairConn // nil if it is none
	weight     int

	parent *branch
	// in is the group of the branch among the children of its parent, and prev and next its
	// neighbours there.
	in         *group
	prev, next *branch
	// top and bottom are the groups of the heaviest and of the lightest children.
	top, bottom *group
}

// group are the children of a branch with the same weight, first the one that has had it for
// longest.
type group struct {
	weight           int
	first, last      *branch
	heavier, lighter *group
}

// maxChances is how many connections that were used are passed over for one that was idle.
const maxChances = 64

// of returns the branch of a source.
func (c *crowd) of(source netip.Prefix) *branch {
	if b := c.branches[source]; b != nil {
		return b
	}
	at := &c.root
	if networks, alone := c.sources.Networks(source); !alone {
		for _, network := range networks {
			at = c.child(at, network)
		}
	}
	return c.child(at, source)
}

func (c *crowd) child(parent *branch, key netip.Prefix) *branch {
	b := c.branches[key]
	if b == nil {
		b = &branch{key: key, parent: parent}
		c.branches[key] = b
	}
	return b
}

// add adds a connection to the branch of its source.
func (c *crowd) add(conn *fairConn, source *branch) {
	conn.branch = branch{connection: conn, parent: source}
	for b := &conn.branch; b != nil; b = b.parent {
		b.weigh(b.weight + 1)
	}
}

// remove removes a connection, and what has none without it. It is a no-op if the connection is not
// there.
func (c *crowd) remove(conn *fairConn) {
	if conn.branch.weight == 0 {
		return
	}
	for b := &conn.branch; b != nil; b = b.parent {
		b.weigh(b.weight - 1)
	}
	c.prune(conn.branch.parent)
}

// prune removes a source without connections, and the networks that have none.
func (c *crowd) prune(b *branch) {
	for ; b.parent != nil && b.weight == 0; b = b.parent {
		delete(c.branches, b.key)
	}
}

// yielding returns the connection that is closed for one more of a source, or nil if the source has
// to do without: it goes from the heaviest network to the heaviest network in it, and so on.
func (c *crowd) yielding(to *branch) *fairConn {
	for chance := 0; ; chance++ {
		conn := c.heaviest(to)
		if conn == nil {
			return nil
		}
		used := conn.used.Load()
		if conn.seen == used || chance == maxChances {
			return conn
		}
		conn.seen = used
		for b := &conn.branch; b.parent != nil; b = b.parent {
			b.in.remove(b)
			b.in.append(b)
		}
	}
}

// heaviest returns a connection of the heaviest source in the heaviest network. Where the way to it
// leaves that of the source to which the connection is given, it has more than this one would have;
// one connection is enough if this one has none.
func (c *crowd) heaviest(to *branch) *fairConn {
	var way [8]*branch // to the source: deeper than any
	n := len(way)
	for b := to; b != nil; b = b.parent {
		n--
		way[n] = b
	}
	at := &c.root
	for shared := way[n:]; at.connection == nil; {
		if at == to || at.top == nil {
			return nil
		}
		next := at.top.first
		if len(shared) > 1 && at == shared[0] {
			shared = shared[1:]
			if wants := shared[0].weight; wants > 0 && next.weight <= wants+1 {
				next = shared[0]
			}
		}
		at = next
	}
	return at.connection
}

// weigh moves a branch to the group of its weight, which is next to the one that it is in.
func (b *branch) weigh(weight int) {
	b.weight = weight
	if b.parent == nil {
		return
	}
	from := b.in
	if b.in = nil; weight > 0 {
		b.in = b.parent.group(from, weight)
		defer b.in.append(b)
	}
	if from == nil {
		return
	}
	if from.remove(b); from.first == nil {
		b.parent.drop(from)
	}
}

// group returns the group of a weight that is next to another group, or the lightest one if there
// is no other group.
func (b *branch) group(from *group, weight int) *group {
	heavier, lighter := b.bottom, (*group)(nil)
	switch {
	case from == nil:
	case weight > from.weight:
		heavier, lighter = from.heavier, from
	default:
		heavier, lighter = from, from.lighter
	}
	for _, g := range []*group{heavier, lighter} {
		if g != nil && g.weight == weight {
			return g
		}
	}
	g := &group{weight: weight, heavier: heavier, lighter: lighter}
	if heavier != nil {
		heavier.lighter = g
	} else {
		b.top = g
	}
	if lighter != nil {
		lighter.heavier = g
	} else {
		b.bottom = g
	}
	return g
}

// drop removes an empty group.
func (b *branch) drop(g *group) {
	if g.heavier != nil {
		g.heavier.lighter = g.lighter
	} else {
		b.top = g.lighter
	}
	if g.lighter != nil {
		g.lighter.heavier = g.heavier
	} else {
		b.bottom = g.heavier
	}
}

func (g *group) append(b *branch) {
	b.prev, b.next = g.last, nil
	if g.last != nil {
		g.last.next = b
	} else {
		g.first = b
	}
	g.last = b
}

func (g *group) remove(b *branch) {
	if b.prev != nil {
		b.prev.next = b.next
	} else {
		g.first = b.next
	}
	if b.next != nil {
		b.next.prev = b.prev
	} else {
		g.last = b.prev
	}
}
