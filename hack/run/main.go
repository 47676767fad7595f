// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

// Command run is make run: it starts an embedded control plane, installs Hallpass on it, starts
// both binaries with the rights of their own service accounts, applies the samples, fetches a token
// and introspects it, and prints each step. Then it stays until Ctrl-C. What scripts need is in
// .run/env.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"
)

// settings are the flags.
type settings struct {
	port            int
	managerArgs     []string
	tokenServerArgs []string
	keep            bool
	dir             string
}

func main() {
	var s settings
	flag.IntVar(&s.port, "port", 0, "port of the token server; 0 picks a free one")
	managerArgs := flag.String("manager-args", "", "further flags for the manager, separated by spaces")
	tokenServerArgs := flag.String("tokenserver-args", "", "further flags for the token server, separated by spaces")
	flag.BoolVar(&s.keep, "keep", false, "keep the cluster's data for the next run")
	flag.StringVar(&s.dir, "dir", ".run", "directory for logs, data and the env file, below the current one")
	flag.Parse()
	s.managerArgs, s.tokenServerArgs = strings.Fields(*managerArgs), strings.Fields(*tokenServerArgs)

	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	err := run(ctx, s)
	interrupted := ctx.Err() != nil
	stop()
	if err != nil && !interrupted {
		fmt.Fprintln(os.Stderr, "\nmake run:", err)
		os.Exit(1)
	}
}
