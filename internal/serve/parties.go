// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package serve

import (
	"cmp"
	"net/netip"
)

// party is a source, or a network of sources, with its weight: how many bytes they hold.
type party struct {
	weight int64
	// sources is how many sources of a network there are.
	sources int
}

// lineage is a source with the networks around it, the widest first. A network counts as one party:
// who has many addresses of a network takes memory from that network.
type lineage struct {
	own      party
	parties  []*party
	networks []netip.Prefix
}

// networks are those of the sources that have connections.
type networks map[netip.Prefix]*party

// enter returns the lineage of a source.
func (n networks) enter(sources Sources, source netip.Prefix) *lineage {
	networks, alone := sources.Networks(source)
	of := &lineage{}
	if !alone {
		of.networks = networks
	}
	for _, network := range of.networks {
		p := n[network]
		if p == nil {
			p = &party{}
			n[network] = p
		}
		p.sources++
		of.parties = append(of.parties, p)
	}
	of.parties = append(of.parties, &of.own)
	return of
}

// leave removes the lineage of a source without connections.
func (n networks) leave(of *lineage) {
	for _, network := range of.networks {
		p := n[network]
		if p.sources--; p.sources == 0 {
			delete(n, network)
		}
	}
}

// add adds to the weight of a source and of its networks.
func (of *lineage) add(weight int64) {
	for _, p := range of.parties {
		p.weight += weight
	}
}

// differ returns the weights of the first parties that are not the same.
func (of *lineage) differ(other *lineage) (one, two int64) {
	for i, p := range of.parties {
		if p != other.parties[i] {
			return p.weight, other.parties[i].weight
		}
	}
	return 0, 0
}

// compare compares two sources by the weights of their parties, the first ones first.
func (of *lineage) compare(other *lineage) int {
	for i := range min(len(of.parties), len(other.parties)) {
		if c := cmp.Compare(of.parties[i].weight, other.parties[i].weight); c != 0 {
			return c
		}
	}
	return 0
}
