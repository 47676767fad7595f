// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"time"

	"github.com/hallpass-dev/hallpass/internal/jws"
)

const (
	// fewClients is what growth starts from.
	fewClients = 10
	// maxSeen are no more tokens than a token server remembers for sure.
	maxSeen = 8 << 10
)

// grow measures a token server with many clients beside one with few, each with clients and an API
// server of its own.
func grow(ctx context.Context, s settings) error {
	paths := s.wanted([]path{
		{name: fetching, transport: plainHTTP, goal: 1.05, prepare: tokenRequestsOfAll},
		{name: seenBefore, transport: plainHTTP, prepare: introspectionsOfSeen},
	})
	var servers [2]*world
	for i, clients := range []int{fewClients, s.growth} {
		w, err := s.grown(ctx, clients)
		if err != nil {
			return err
		}
		defer w.stop()
		stopChanges := w.keepChanging()
		defer stopChanges()
		servers[i] = w
	}
	time.Sleep(settled) // loading so many leaves more behind than loading ten
	s.header()
	for _, p := range paths {
		var contestants []*contestant
		for _, w := range servers {
			contestants = append(contestants, &contestant{process: w.plain, world: w, caller: w.byHTTP(p.transport, w.plain.plain)})
		}
		if _, err := s.measure(ctx, p, contestants); err != nil {
			return err
		}
	}
	return nil
}

// tokenRequestsOfAll are tokenRequests, and to warm up one of every client: a token server
// records the first use of each client since its start.
func tokenRequestsOfAll(w *world, round int) ([]call, error) {
	if round == 0 {
		everybody := *w
		everybody.requests = max(w.requests, len(w.people.Clients))
		return tokenRequests(&everybody, 0)
	}
	return tokenRequests(w, round)
}

// grown starts a token server with that many clients. Each round introspects other tokens than the
// one before it, as each round fetches tokens for other clients.
func (s settings) grown(ctx context.Context, clients int) (_ *world, err error) {
	s.clients = clients
	w, err := newWorld(s, jws.ES256, min(s.requests*(s.rounds+1), maxSeen))
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			w.stop()
		}
	}()
	if err := w.buildTokenServer(ctx); err != nil {
		return nil, err
	}
	if w.plain, err = w.startTokenServer(ctx, w.tokenServerProgram, "hallpass", false); err != nil {
		return nil, err
	}
	w.plain.name = fmt.Sprintf("%d clients", clients)
	return w, nil
}
