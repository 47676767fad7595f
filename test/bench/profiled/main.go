// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

// Command profiled is the token server with the profiles of net/http/pprof on a port of their own,
// which the real binary does not have. HALLPASS_PROFILES is the address.
package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	_ "net/http/pprof" //nolint:gosec // what this program is for
	"os"
	"os/signal"
	"syscall"

	"github.com/hallpass-dev/hallpass/cmd/tokenserver/app"
	"github.com/hallpass-dev/hallpass/internal/serve"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	o, err := app.ParseFlags(os.Args[1:], os.Stderr)
	if err == nil {
		go func() { fmt.Fprintln(os.Stderr, http.ListenAndServe(os.Getenv("HALLPASS_PROFILES"), nil)) }() //nolint:gosec // on loopback
		lines := serve.NewBatch(o.Log)
		o.Log = lines
		err = errors.Join(app.Run(ctx, o), lines.Flush())
	}
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "profiled:", err)
		os.Exit(1)
	}
}
