// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

// Command apply measures the way from kubectl apply to a token on the embedded control plane: how long until an OAuth2Client is
// Ready, whether the very first request right after it ever fails, also with a replica that hears of changes late, and what
// is left after everything was deleted.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"time"
)

// settings are the flags.
type settings struct {
	clients int
	rounds  int
	lag     time.Duration
	idle    time.Duration
}

func main() {
	var s settings
	flag.IntVar(&s.clients, "clients", 200, "clients applied one by one, each until it is Ready")
	flag.IntVar(&s.rounds, "rounds", 1000, "rounds of create, fetch at once, delete")
	flag.DurationVar(&s.lag, "lag", 2*time.Second, "how long the late replica's watches are held back")
	flag.DurationVar(&s.idle, "idle", time.Minute, "how long to watch for writes while nothing changes")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := measure(ctx, s)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench-apply:", err)
		os.Exit(1)
	}
}

func measure(ctx context.Context, s settings) error {
	fmt.Printf("%s %s/%s, %d CPUs; etcd without fsync, everything on this machine\n", runtime.Version(), runtime.GOOS, runtime.GOARCH, runtime.NumCPU())
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
