// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

// Command login has the pages on which people log in: it sends them to their identity provider, and
// carries what comes back to the token server, which decides. It has no key of Hallpass.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strconv"
	"syscall"

	"github.com/go-logr/logr"
	"k8s.io/klog/v2"

	"github.com/hallpass-dev/hallpass/cmd/login/app"
	"github.com/hallpass-dev/hallpass/internal/serve"
)

// version is that of the build, if the linker sets it.
var version string

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	o, err := app.ParseFlags(os.Args[1:], os.Stderr)
	if errors.Is(err, flag.ErrHelp) {
		return
	}
	o.Version = serve.Version(version)
	lines := serve.NewBatch(o.Log)
	o.Log = lines
	if err == nil {
		// What client-go logs for the whole process comes out as everything else does.
		err = new(klog.Level).Set(strconv.Itoa(o.Verbosity))
		klog.SetLogger(logr.FromSlogHandler(serve.NewLog(lines, o.Verbosity).Handler()))
	}
	if err == nil {
		err = errors.Join(app.Run(ctx, o), lines.Flush())
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "login:", err)
		stop()
		os.Exit(1) //nolint:gocritic // stop has been called
	}
}
