// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

// Command kubectl-hallpass is the plugin of kubectl for Hallpass: kubectl hallpass. It has the
// rights of its caller, and nothing of it runs in the cluster.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/hallpass-dev/hallpass/cmd/kubectl-hallpass/app"
	"github.com/hallpass-dev/hallpass/internal/serve"
)

// version is that of the build, if the linker sets it.
var version string

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	// A second Ctrl-C ends a login plugin of the kubeconfig that does not.
	context.AfterFunc(ctx, stop)
	streams := genericiooptions.IOStreams{In: os.Stdin, Out: os.Stdout, ErrOut: os.Stderr}
	code := app.Run(ctx, os.Args[1:], app.Environment{IOStreams: streams, Version: serve.Version(version)})
	stop()
	os.Exit(code)
}
