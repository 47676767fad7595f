// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

// Package program is what the commands of test/bench have in common.
package program

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
)

// Run parses the flags and calls measure, whose context an interrupt ends. If measure returns an
// error, Run prints it after the name of the command and ends the process.
func Run(name string, measure func(context.Context) error) {
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := measure(ctx)
	stop()
	if err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", name, err)
		os.Exit(1)
	}
}
