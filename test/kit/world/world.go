// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

// Package world is a cluster with Hallpass in it, which the tests of a package share: a control
// plane, an installation, and a client with the rights of an administrator. It has what the users
// of a cluster do in tests: create a client, read its Secret, fetch a token.
package world

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hallpass-dev/hallpass/test/kit/controlplane"
	"github.com/hallpass-dev/hallpass/test/kit/installation"
)

// World is a cluster with Hallpass in it.
type World struct {
	// Cluster has the rights of an administrator.
	Cluster client.Client
	Plane   *controlplane.ControlPlane
	// Hallpass runs in this process; nil if it is installed only.
	Hallpass *installation.Running
}

// Options change a World. The zero Options are the ordinary way.
type Options struct {
	// Installation changes how Hallpass runs.
	Installation installation.Options
	// InstalledOnly applies the manifests and starts neither binary.
	InstalledOnly bool
}

// Start makes a World. Root names the repository.
func Start(ctx context.Context, o Options) (_ *World, err error) {
	root, err := Root()
	if err != nil {
		return nil, err
	}
	w := &World{}
	if w.Plane, err = controlplane.Start(ctx, controlplane.Options{}); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, w.Stop())
		}
	}()
	if o.InstalledOnly {
		err = installation.Install(ctx, w.Plane, root)
	} else {
		w.Hallpass, err = installation.Run(ctx, w.Plane, root, o.Installation)
	}
	if err != nil {
		return nil, err
	}
	w.Cluster, err = installation.Connect(w.Plane.AdminConfig())
	return w, err
}

// Stop ends it.
func (w *World) Stop() error {
	var err error
	if w.Hallpass != nil {
		err = w.Hallpass.Stop()
	}
	return errors.Join(err, w.Plane.Stop())
}

// Main makes a World, runs tests in it, and ends the process. It is called by TestMain.
func Main(o Options, run func(context.Context, *World) (code int, err error)) {
	code, err := inWorld(context.Background(), o, run)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = max(code, 1)
	}
	os.Exit(code)
}

func inWorld(ctx context.Context, o Options, run func(context.Context, *World) (int, error)) (_ int, err error) {
	w, err := Start(ctx, o)
	if err != nil {
		return 1, err
	}
	defer func() { err = errors.Join(err, w.Stop()) }()
	return run(ctx, w)
}

// Root is the root of the repository, above the directory that a test runs in.
func Root() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", fmt.Errorf("find the repository: %w", err)
	}
	for at := dir; ; at = filepath.Dir(at) {
		if _, err := os.Stat(filepath.Join(at, "go.mod")); err == nil {
			return at, nil
		}
		if at == filepath.Dir(at) {
			return "", fmt.Errorf("find the repository: there is no go.mod above %s", dir)
		}
	}
}
