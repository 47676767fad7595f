// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hallpass-dev/hallpass/internal/jws"
)

// contestant is a server on one path.
type contestant struct {
	*process

	origin, path string
	caller       *http.Client
	fixed        *call // sent in the place of the path's calls
	turns        []turn
}

// turn is what one server did in one round.
type turn struct {
	processor time.Duration // a request
	elapsed   time.Duration // of the whole turn
	latencies []time.Duration
}

// compare measures the paths of an algorithm in interleaved rounds and prints a table.
func compare(ctx context.Context, s settings, algorithm jws.Algorithm) error {
	measured := slices.DeleteFunc(paths(algorithm), func(p path) bool { return !s.paths.MatchString(p.name + ", " + string(p.transport)) })
	if len(measured) == 0 {
		return nil
	}
	w, err := newWorld(ctx, s, algorithm)
	if err != nil {
		return err
	}
	defer w.stop()
	if algorithm == jws.ES256 && s.profiles == "" {
		if err := w.start(ctx); err != nil {
			return err
		}
	}
	stopChanges := w.keepChanging()
	defer stopChanges()
	s.header()
	for _, p := range measured {
		if err := w.measure(ctx, p); err != nil {
			return fmt.Errorf("%s over %s: %w", p.name, p.transport, err)
		}
	}
	memory, err := residentMemory(w.plain.pid)
	s.print("hallpass after these requests: %.1f MiB resident\n", memory)
	return err
}

// measure runs one path: a round to warm up, and then the rounds that count, in which the servers take turns at going first.
func (w *world) measure(ctx context.Context, p path) error {
	contestants := w.contestants(p)
	for round := range w.rounds + 1 {
		calls, err := p.prepare(w, round)
		if err != nil {
			return err
		}
		order := slices.Clone(contestants)
		if round%2 == 1 {
			slices.Reverse(order)
		}
		for _, c := range order {
			t, err := w.turn(ctx, p, c, calls)
			if err != nil {
				return fmt.Errorf("%s: %w", c.name, err)
			}
			if round > 0 {
				c.turns = append(c.turns, t)
			}
		}
	}
	for _, c := range contestants {
		c.caller.CloseIdleConnections()
		w.row(p, contestants[0], c)
	}
	return w.profile(ctx, p, contestants[1])
}

func (w *world) contestants(p path) []*contestant {
	floor := &contestant{process: w.floor, origin: w.floor.tls, path: p.floorPath, caller: w.caller(p.transport)}
	hallpass := &contestant{process: w.overTLS, origin: w.overTLS.tls, caller: w.caller(p.transport)}
	if p.transport == plainHTTP {
		floor.origin, hallpass.origin, hallpass.process = w.floor.plain, w.plain.plain, w.plain
	}
	contestants := []*contestant{floor, hallpass}
	if p.name == fetching && p.transport == plainHTTP {
		for _, other := range w.others {
			contestants = append(contestants, w.contestant(other))
		}
	}
	return contestants
}

// turn sends the calls to one server and reads its CPU time before and after.
func (w *world) turn(ctx context.Context, p path, c *contestant, calls []call) (turn, error) {
	before, err := processorTime(c.pid)
	if err != nil {
		return turn{}, err
	}
	started := time.Now()
	latencies, err := w.send(ctx, p, c, calls)
	elapsed := time.Since(started)
	if err != nil {
		return turn{}, err
	}
	after, err := processorTime(c.pid)
	return turn{processor: (after - before) / time.Duration(len(calls)), elapsed: elapsed, latencies: latencies}, err
}

func (w *world) send(ctx context.Context, p path, c *contestant, calls []call) ([]time.Duration, error) {
	latencies := make([]time.Duration, len(calls))
	errs := make(chan error, w.workers)
	var next atomic.Int64
	var working sync.WaitGroup
	for range w.workers {
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

// call makes one request and looks at the answer: what is measured has to be right.
func (c *contestant) call(ctx context.Context, p path, one call) error {
	if c.fixed != nil {
		one = *c.fixed
	}
	target := one.path
	if c.path != "" {
		target = c.path
	}
	request, err := one.to(ctx, c.origin, target)
	if err != nil {
		return err
	}
	response, err := c.caller.Do(request)
	if err != nil {
		return err
	}
	body, err := io.ReadAll(response.Body)
	_ = response.Body.Close()
	if err == nil && !p.right(response.StatusCode, body) {
		err = fmt.Errorf("%s answers %s: %s", target, response.Status, body)
	}
	return err
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
