// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

// Command manager makes true what users write: it registers OAuth2Clients, keeps their Secrets, and
// makes the keys and certificates that the token server works with. It serves no tokens.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"strconv"
	"syscall"

	"k8s.io/klog/v2"
	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/hallpass-dev/hallpass/cmd/manager/app"
	"github.com/hallpass-dev/hallpass/internal/serve"
)

// Nearly all of the heap is what the caches hold, which changes little and has few pointers. The
// garbage collector runs when gcPercent of the heap was allocated since, unless the environment has
// GOGC. With 20 alone, a start, which reads and reconciles everything, spends a third of its CPU on
// collecting, and a manager of few clients collects after every other one. heapHeadroom is a block
// without accesses: it takes no memory, but counts as part of the heap.
const (
	gcPercent    = 30
	heapHeadroom = 32 << 20
)

// version is that of the build, if the linker sets it.
var version string

func main() {
	headroom := make([]byte, heapHeadroom)
	defer runtime.KeepAlive(headroom)
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	o, err := app.ParseFlags(os.Args[1:], os.Stderr)
	if errors.Is(err, flag.ErrHelp) {
		return
	}
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
	o.Version = serve.Version(version)
	if err == nil {
		// What libraries log for the whole process comes out as everything else does.
		ctrl.SetLogger(o.Log)
		err = new(klog.Level).Set(strconv.Itoa(o.Verbosity))
		klog.SetLogger(o.Log)
	}
	if err == nil {
		err = app.Run(ctx, o)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "manager:", err)
		stop()
		os.Exit(1) //nolint:gocritic // stop has been called
	}
}
