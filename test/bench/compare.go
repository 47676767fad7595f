// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hallpass-dev/hallpass/internal/jws"
	"github.com/hallpass-dev/hallpass/test/bench/cputime"
)

// contestant is a server on one path.
type contestant struct {
	*process

	world  *world // whose clients it knows
	caller caller
	path   string // in the place of the calls' if it is not empty
	fixed  *call  // sent in the place of the path's calls
	turns  []turn
}

// isBefore reports whether the server is that of -against.
func (c *contestant) isBefore() bool { return c.name == before || c.name == before+"-tls" }

// turn is what one server did in one round.
type turn struct {
	processor time.Duration // a request
	elapsed   time.Duration // of the whole turn
	latencies []time.Duration
}

// compare measures the paths of an algorithm in interleaved rounds and prints a table.
func compare(ctx context.Context, s settings, algorithm jws.Algorithm) error {
	measured := s.wanted(paths(algorithm))
	if len(measured) == 0 {
		return nil
	}
	// The peers are measured with ES256 alone.
	s.peers = s.peers && algorithm == jws.ES256
	w, err := newWorld(s, algorithm, s.requests)
	if err != nil {
		return err
	}
	defer w.stop()
	if err := w.startAll(ctx); err != nil {
		return err
	}
	if algorithm == jws.ES256 && s.profiles == "" {
		if err := w.start(ctx); err != nil {
			return err
		}
	}
	stopChanges := w.keepChanging()
	defer stopChanges()
	s.header()
	results := map[string][]*contestant{}
	var pairings []pairing
	for _, p := range measured {
		contestants, err := w.contestants(p)
		if err != nil {
			return err
		}
		if contestants, err = s.measure(ctx, p, contestants); err != nil {
			return err
		}
		results[p.name] = contestants
		if len(contestants) > 2 && contestants[2].isBefore() {
			pairings = append(pairings, pairing{path: p, now: contestants[1].turns, before: contestants[2].turns})
		}
	}
	s.besideForwardAuth(results)
	s.besideBefore(pairings)
	return w.memory()
}

// memory prints the resident memory of the token servers and the peers after the requests.
func (w *world) memory() error {
	servers := w.tokenServers(plainHTTP)
	for _, r := range w.others {
		servers = append(servers, r.process)
	}
	for _, server := range servers {
		memory, err := residentMemory(server.pid)
		if err != nil {
			return err
		}
		w.print("%s after these requests: %.1f MiB resident\n", server.name, memory)
	}
	return nil
}

// wanted are the paths that are asked for.
func (s settings) wanted(all []path) []path {
	return slices.DeleteFunc(all, func(p path) bool { return !s.paths.MatchString(p.name + ", " + string(p.transport)) })
}

func (w *world) contestants(p path) ([]*contestant, error) {
	if p.transport == plainGRPC {
		return w.envoyContestants()
	}
	contestants := []*contestant{
		{process: w.floor, world: w, path: p.floorPath, caller: w.byHTTP(p.transport, w.floor.origin(p.transport))},
	}
	for _, server := range w.tokenServers(p.transport) {
		contestants = append(contestants, &contestant{process: server, world: w, caller: w.byHTTP(p.transport, server.origin(p.transport))})
	}
	return append(contestants, w.peersOn(p)...), nil
}

// tokenServers are the measured token server and, with -against, the one to compare with.
func (w *world) tokenServers(t transport) []*process {
	servers := []*process{w.overTLS, w.beforeOverTLS}
	if t == plainHTTP || t == plainGRPC {
		servers = []*process{w.plain, w.before}
	}
	if w.against == "" {
		servers = servers[:1]
	}
	return servers
}

func (w *world) envoyContestants() ([]*contestant, error) {
	var contestants []*contestant
	for _, server := range append([]*process{w.envoyFloor}, w.tokenServers(plainGRPC)...) {
		asking, err := w.byGRPC(server.envoy)
		if err != nil {
			return nil, err
		}
		contestants = append(contestants, &contestant{process: server, world: w, caller: asking})
	}
	return contestants, nil
}

// measure runs one path: a round to warm up, and then the rounds that count, in which the servers
// take turns in changing order. It returns the servers that were measured: the binary of -against
// may be older than the path.
func (s settings) measure(ctx context.Context, p path, contestants []*contestant) ([]*contestant, error) {
	for round := range s.rounds + 1 {
		calls, err := prepare(p, contestants, round)
		if err != nil {
			return nil, fmt.Errorf("%s over %s: %w", p.name, p.transport, err)
		}
		for _, c := range order(contestants, round) {
			t, err := s.turn(ctx, p, c, calls[c.world])
			if err != nil && round == 0 && c.isBefore() {
				s.print("%s over %s: the binary of -against does not serve it: %v\n", p.name, p.transport, err)
				contestants = slices.DeleteFunc(contestants, (*contestant).isBefore)
				continue
			}
			if err != nil {
				return nil, fmt.Errorf("%s over %s: %s: %w", p.name, p.transport, c.name, err)
			}
			if round > 0 {
				c.turns = append(c.turns, t)
			}
		}
	}
	for _, c := range contestants {
		s.row(p, contestants[0], c)
	}
	if err := s.profile(ctx, p, contestants[1]); err != nil {
		return nil, err
	}
	for _, c := range contestants {
		c.caller.close()
	}
	return contestants, nil
}

// prepare makes the calls of a round, by the servers whose clients they are of.
func prepare(p path, contestants []*contestant, round int) (map[*world][]call, error) {
	calls := map[*world][]call{}
	for _, c := range contestants {
		if calls[c.world] != nil {
			continue
		}
		made, err := p.prepare(c.world, round)
		if err != nil {
			return nil, err
		}
		calls[c.world] = made
	}
	return calls, nil
}

// turn sends the calls to one server and reads its CPU time before and after.
func (s settings) turn(ctx context.Context, p path, c *contestant, calls []call) (turn, error) {
	before, err := cputime.Of(c.pid)
	if err != nil {
		return turn{}, err
	}
	started := time.Now()
	latencies, err := s.send(ctx, p, c, calls)
	elapsed := time.Since(started)
	if err != nil {
		return turn{}, err
	}
	after, err := cputime.Of(c.pid)
	return turn{processor: (after - before) / time.Duration(len(calls)), elapsed: elapsed, latencies: latencies}, err
}

func (s settings) send(ctx context.Context, p path, c *contestant, calls []call) ([]time.Duration, error) {
	latencies := make([]time.Duration, len(calls))
	errs := make(chan error, s.workers)
	var next atomic.Int64
	var working sync.WaitGroup
	for range s.workers {
		working.Go(func() {
			for i := int(next.Add(1)) - 1; i < len(calls); i = int(next.Add(1)) - 1 {
				started := time.Now()
				if err := c.call(ctx, p, calls[i]); err != nil {
					errs <- err
					return
				}
				latencies[i] = time.Since(started)
			}
		})
	}
	working.Wait()
	close(errs)
	return latencies, <-errs
}

// call makes one request, as this server is asked.
func (c *contestant) call(ctx context.Context, p path, one call) error {
	if c.fixed != nil {
		one = *c.fixed
	}
	if c.path != "" {
		one.path = c.path
	}
	return c.caller.ask(ctx, p, one)
}

// keepChanging changes clients and writes the signing keys all the while, if that was asked for.
func (w *world) keepChanging() (stop func()) {
	if w.changes == 0 {
		return func() {}
	}
	done := make(chan struct{})
	ticker := time.NewTicker(time.Second / time.Duration(w.changes))
	go func() {
		for i := 0; ; i++ {
			select {
			case <-done:
				return
			case <-ticker.C:
			}
			_ = w.api.Touch(w.client(i))
			if i%w.changes == 0 {
				_ = w.api.TouchKeys()
			}
		}
	}()
	return func() {
		ticker.Stop()
		close(done)
	}
}
