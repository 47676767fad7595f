// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

// Command tenants measures what hostile tenants take from an honest one. Manager, token server, API
// server and etcd run as processes on this machine. In turns, either twenty hostile tenants or
// spinners take the same part of the machine's CPU, while the honest tenant applies clients and
// fetches tokens at a fixed pace. The program fails if a request of the honest tenant is refused,
// or if a p99 beside hostile tenants is more than -goal times that beside spinners.
//
// The CPU of the hostile tenants is that of their own process and what all other processes use
// beyond their use for the honest tenant alone. It is measured, and both are paced to it.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"runtime"
	"time"

	"github.com/go-logr/logr"
	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/hallpass-dev/hallpass/test/bench/program"
)

// settings are the flags.
type settings struct {
	tenants, rounds int
	turn, settle    time.Duration
	share, goal     float64
	stages          bool
	output          io.Writer
}

func main() {
	s := settings{output: os.Stdout}
	flag.IntVar(&s.tenants, "tenants", 20, "how many tenants are hostile")
	flag.IntVar(&s.rounds, "rounds", 3, "rounds, each with a turn beside spinners and one beside hostile tenants")
	flag.DurationVar(&s.turn, "turn", 24*time.Second, "how long a turn is measured")
	flag.DurationVar(&s.settle, "settle", 4*time.Second, "how long a turn goes on before it is measured, in which the pace is found")
	flag.Float64Var(&s.share, "share", 0.30, "the part of the machine's CPU that hostile tenants, or spinners, take")
	flag.Float64Var(&s.goal, "goal", 2, "the highest ratio of a p99 beside hostile tenants to that beside spinners; 0 sets none")
	flag.BoolVar(&s.stages, "stages", false, "also print how long each stage from apply to Ready takes, by the audit log of the API server")
	ctrl.SetLogger(logr.Discard()) // or its client complains that it has none
	program.Run("tenants", func(ctx context.Context) error { return begin(ctx, s) })
}

// begin plays the role of this process: it measures, or it is one of the processes that a measuring
// one has started.
func begin(ctx context.Context, s settings) error {
	switch os.Getenv(roleVariable) {
	case roleHostile:
		return hostile(ctx, os.Stdin, os.Stdout)
	case roleSpinner:
		return spin(os.Stdin, os.Stdout)
	}
	return run(ctx, s)
}

func run(ctx context.Context, s settings) (err error) {
	say := func(format string, args ...any) { _, _ = fmt.Fprintf(s.output, format+"\n", args...) }
	say("%s %s/%s, %d CPUs for the control plane and all else; etcd without fsync", runtime.Version(), runtime.GOOS, runtime.GOARCH, runtime.NumCPU())
	w, err := start(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, w.stop()) }()
	h, err := newHonest(ctx, w)
	if err != nil {
		return err
	}
	spinners, err := w.launch(ctx, s, roleSpinner)
	if err != nil {
		return err
	}
	defer spinners.stop()
	tenants, err := w.launch(ctx, s, roleHostile)
	if err != nil {
		return err
	}
	defer tenants.stop()
	m := &measurement{settings: s, world: w, honest: h, say: say, spinners: spinners, tenants: tenants}
	if err := m.take(ctx); err != nil {
		return err
	}
	return m.report()
}
