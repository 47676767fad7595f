// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

// Command apply measures the way from kubectl apply to a token on the embedded control plane: how
// long until an OAuth2Client is Ready, whether the very first request right after it ever fails,
// also with a replica that gets changes late, and what is left after everything was deleted.
package main

import (
	"cmp"
	"context"
	"flag"
	"fmt"
	"runtime"
	"time"

	"github.com/hallpass-dev/hallpass/test/bench/program"
)

// settings are the flags.
type settings struct {
	clients int
	rounds  int
	lag     time.Duration
	idle    time.Duration
	against string
	// goal is the highest median ratio that is no failure; 0 sets none.
	goal float64
}

// complete sets the defaults that depend on -against.
func (s *settings) complete() {
	clients, rounds := 200, 1000
	if s.against != "" {
		clients, rounds = 10, 24
	}
	s.clients, s.rounds = cmp.Or(s.clients, clients), cmp.Or(s.rounds, rounds)
}

func main() {
	var s settings
	flag.IntVar(&s.clients, "clients", 0, "clients applied one by one, each until it is Ready; 0 means 200, and 10 per turn with -against")
	flag.IntVar(&s.rounds, "rounds", 0, "rounds of create, fetch at once, delete; 0 means 1000. With -against, rounds with a turn of each manager; 0 means 24")
	flag.DurationVar(&s.lag, "lag", 2*time.Second, "how long the late replica's watches are held back")
	flag.DurationVar(&s.idle, "idle", time.Minute, "how long to watch for writes while nothing changes")
	flag.StringVar(&s.against, "against", "",
		"compare the manager with this `BINARY` of another commit instead; it must support the flags of commit 37318f4")
	flag.Float64Var(&s.goal, "goal", 1.05, "with -against, fail if a median ratio is higher; 0 sets no goal")
	program.Run("bench-apply", func(ctx context.Context) error { return measure(ctx, s) })
}

func measure(ctx context.Context, s settings) error {
	s.complete()
	fmt.Printf("%s %s/%s, %d CPUs; etcd without fsync, everything on this machine\n", runtime.Version(), runtime.GOOS, runtime.GOARCH, runtime.NumCPU())
	if s.against != "" {
		return measureAgainst(ctx, s)
	}
	b, err := start(ctx, s.lag)
	if err != nil {
		return err
	}
	defer b.stop()
	before, err := b.count(ctx)
	if err != nil {
		return err
	}
	if err := b.applyBesideSecrets(ctx, s.clients); err != nil {
		return err
	}
	if err := b.applyOneByOne(ctx, s.clients); err != nil {
		return err
	}
	if err := b.watchIdle(ctx, s.idle); err != nil {
		return err
	}
	if err := b.fetchRightAfterReady(ctx, s.rounds); err != nil {
		return err
	}
	return b.leftBehind(ctx, before)
}
