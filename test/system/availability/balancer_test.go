// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package availability_test

import (
	"context"
	"io"
	"math/rand/v2"
	"net"
	"slices"
	"sync"
	"testing"
	"time"
)

// probePeriod is how often readiness is asked for.
const probePeriod = 100 * time.Millisecond

// balancer spreads TCP connections over those that were ready a while ago, as kube-proxy does: a
// change of readiness takes effect after a random lag, each time another one. A connection that is
// open stays where it is.
type balancer struct {
	listener net.Listener
	maxLag   time.Duration
	ctx      context.Context //nolint:containedctx // the life of the balancer
	running  sync.WaitGroup

	mu    sync.Mutex
	ready []*replica
	open  map[net.Conn]bool
}

func startBalancer(t *testing.T, maxLag time.Duration) *balancer {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	b := &balancer{listener: listener, maxLag: maxLag, ctx: ctx, open: map[net.Conn]bool{}}
	b.running.Go(b.accept)
	t.Cleanup(func() {
		cancel()
		_ = listener.Close()
		b.mu.Lock()
		for c := range b.open {
			_ = c.Close()
		}
		b.mu.Unlock()
		b.running.Wait()
	})
	return b
}

func (b *balancer) address() string { return b.listener.Addr().String() }

// follow probes a replica until it is gone for good.
func (b *balancer) follow(r *replica) {
	b.running.Go(func() {
		known := false
		for b.ctx.Err() == nil {
			if now := r.ready(b.ctx); now != known {
				known = now
				lag := rand.N(b.maxLag) //nolint:gosec // of no secret
				time.AfterFunc(lag, func() { b.set(r, now) })
			}
			pause(b.ctx, probePeriod)
		}
	})
}

func (b *balancer) set(r *replica, ready bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.ready = slices.DeleteFunc(b.ready, func(known *replica) bool { return known == r })
	if ready {
		b.ready = append(b.ready, r)
	}
}

// has reports whether connections may go to a replica.
func (b *balancer) has(r *replica) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Contains(b.ready, r)
}

func (b *balancer) accept() {
	for {
		from, err := b.listener.Accept()
		if err != nil {
			return
		}
		b.running.Go(func() { b.forward(from) })
	}
}

// forward connects to one of the replicas, and to no other if that fails: kube-proxy would not
// either.
func (b *balancer) forward(from net.Conn) {
	defer b.hangUp(from)
	b.mu.Lock()
	b.open[from] = true
	var chosen *replica
	if len(b.ready) > 0 {
		chosen = b.ready[rand.N(len(b.ready))] //nolint:gosec // of no secret
	}
	b.mu.Unlock()
	if chosen == nil {
		return
	}
	var dialer net.Dialer
	to, err := dialer.DialContext(b.ctx, "tcp", chosen.address)
	if err != nil {
		return
	}
	defer b.hangUp(to)
	b.mu.Lock()
	b.open[to] = true
	b.mu.Unlock()
	var up sync.WaitGroup
	up.Go(func() {
		_, _ = io.Copy(to, from)
		closeWrite(to)
	})
	_, _ = io.Copy(from, to)
	closeWrite(from)
	up.Wait()
}

// closeWrite hands on that nothing more comes.
func closeWrite(c net.Conn) {
	if tcp, ok := c.(*net.TCPConn); ok {
		_ = tcp.CloseWrite()
	}
}

func (b *balancer) hangUp(c net.Conn) {
	_ = c.Close()
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.open, c)
}
