// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package serve

import (
	"cmp"
	"container/list"
	"net/netip"
	"slices"
)

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
	// place is that of the branch in its group among the children of its parent.
	place *list.Element
	// groups are the children by their weights, the heaviest last. There are few: of 4,096
	// connections at most 90 sources have different numbers.
	groups []group
}

// group are the children of a branch with the same weight, first the one that has had it for
// longest.
type group struct {
	weight   int
	children *list.List // of *branch
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
			b.weigh(b.weight)
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
		next := at.first()
		if at == to || next == nil {
			return nil
		}
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

// weigh sets the weight of a branch, and moves it to the end of the group of that weight. A branch
// without a weight is in no group.
func (b *branch) weigh(weight int) {
	before := b.weight
	b.weight = weight
	if b.parent == nil {
		return
	}
	groups := &b.parent.groups
	if i, found := b.parent.group(before); found {
		if (*groups)[i].children.Remove(b.place); (*groups)[i].children.Len() == 0 {
			*groups = slices.Delete(*groups, i, i+1)
		}
	}
	if weight > 0 {
		i, found := b.parent.group(weight)
		if !found {
			*groups = slices.Insert(*groups, i, group{weight, list.New()})
		}
		b.place = (*groups)[i].children.PushBack(b)
	}
}

// group returns the index of the group of a weight, or the one that it would have.
func (b *branch) group(weight int) (int, bool) {
	return slices.BinarySearchFunc(b.groups, weight, func(g group, weight int) int { return cmp.Compare(g.weight, weight) })
}

// first returns the heaviest child of a branch, and of several the one that has been so for
// longest; nil if it has none.
func (b *branch) first() *branch {
	if len(b.groups) == 0 {
		return nil
	}
	first, _ := b.groups[len(b.groups)-1].children.Front().Value.(*branch)
	return first
}
