// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package revocation

import (
	"slices"
	"time"
)

// bundleEntries bounds each list of a bundle.
const bundleEntries = 64

// bundle is entries of one namespace that are written, and become durable, together.
type bundle struct {
	namespace string
	batch     Batch
	// done is closed when the bundle is durable, or after as many failed attempts as callers
	// wait for.
	done    chan struct{}
	durable bool
}

// number returns the number of a client of the bundle, to which it is added if need be.
func (p *bundle) number(of Client) uint32 {
	at := slices.Index(p.batch.Clients, of)
	if at < 0 {
		at = len(p.batch.Clients)
		p.batch.Clients = append(p.batch.Clients, of)
	}
	return uint32(at + 1) //nolint:gosec // as many as there are tokens
}

// commit is a batch that is not durable yet. Its name is unique, so that a retry cannot store it
// twice.
type commit struct {
	name     string
	batch    Batch
	numbers  numbers
	bundles  []*bundle
	attempts int
}

// admits reports whether the batch has room for a bundle.
func (c *commit) admits(p *bundle) bool {
	clients := len(c.batch.Clients)
	for _, client := range p.batch.Clients {
		if _, there := c.numbers[client]; !there {
			clients++
		}
	}
	return len(c.batch.Tokens)+len(p.batch.Tokens) <= MaxBatch && len(c.batch.Assertions)+len(p.batch.Assertions) <= MaxBatch &&
		len(c.batch.Generations)+len(p.batch.Generations) <= MaxGenerations && clients <= MaxClients
}

// add adds a bundle to the batch.
func (c *commit) add(p *bundle) {
	c.bundles = append(c.bundles, p)
	c.batch.Tokens = append(c.batch.Tokens, c.numbered(p.batch, p.batch.Tokens)...)
	c.batch.Assertions = append(c.batch.Assertions, c.numbered(p.batch, p.batch.Assertions)...)
	c.addGenerations(p)
}

// addGenerations adds those of a bundle, also one that has expired since.
func (c *commit) addGenerations(p *bundle) {
	c.batch.mergeGenerations(p.batch, c.numbers, time.Time{})
}

// gather makes the list of generations anew, from what the bundles still have.
func (c *commit) gather() {
	c.batch.Generations = nil
	for _, p := range c.bundles {
		c.addGenerations(p)
	}
}

// numbered returns a list of a bundle with the numbers that clients have in the batch.
func (c *commit) numbered(from Batch, list []Entry) []Entry {
	list = slices.Clone(list)
	for i, r := range list {
		if r.Client != 0 {
			list[i].Client = c.numbers.of(from.clientOf(r), &c.batch)
		}
	}
	return list
}

// end has the callers of all bundles continue.
func (c *commit) end(durable bool) {
	for _, p := range c.bundles {
		p.durable = durable
		close(p.done)
	}
}
