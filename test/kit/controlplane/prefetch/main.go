// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

// Command prefetch makes sure that the programs of the embedded control plane are there, so that
// what follows does not wait for them, and prints the directory with etcd, kube-apiserver and, in
// most cases, kubectl: KUBEBUILDER_ASSETS may point at it.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"github.com/hallpass-dev/hallpass/test/kit/controlplane"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	assets, err := controlplane.FindAssets(ctx, os.Stderr)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "prefetch:", err)
		os.Exit(1)
	}
	fmt.Println(filepath.Dir(assets.APIServer))
}
