// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

// Command grants measures consent on the embedded control plane: how long until a change of a
// resource's grants that concerns every client is honoured by the token server, how long the status
// of all those clients takes to follow, how long a manager needs to begin, and whether it writes
// anything when nothing has changed.
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

	"github.com/hallpass-dev/hallpass/test/bench/program"
)

// settings are the flags.
type settings struct {
	clients, resources, changes int
	idle                        time.Duration
	root                        string // of the repository
	output                      io.Writer
}

func main() {
	s := settings{root: ".", output: os.Stdout}
	flag.IntVar(&s.clients, "clients", 10_000, "clients that all ask for one resource, and each for another one")
	flag.IntVar(&s.resources, "resources", 100, "resources")
	flag.IntVar(&s.changes, "changes", 40, "changes of the grants of the resource that all ask for")
	flag.DurationVar(&s.idle, "idle", 30*time.Second, "how long to watch for writes while nothing changes")
	program.Run("bench-grants", func(ctx context.Context) error { return run(ctx, s) })
}

func run(ctx context.Context, s settings) error {
	_, _ = fmt.Fprintf(s.output, "%s %s/%s, %d CPUs; %d clients, %d resources; etcd without fsync, everything on this machine\n",
		runtime.Version(), runtime.GOOS, runtime.GOARCH, runtime.NumCPU(), s.clients, s.resources)
	w, err := start(ctx, s)
	if err != nil {
		return err
	}
	defer func() {
		if err := errors.Join(w.hallpass.Stop(), w.cp.Stop()); err != nil {
			fmt.Fprintln(os.Stderr, "stop:", err)
		}
	}()
	for _, step := range []func(context.Context) error{w.populate, w.changeGrants, w.restart} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	return nil
}
