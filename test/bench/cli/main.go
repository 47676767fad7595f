// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

// Command cli measures kubectl hallpass as its users wait for it, on the embedded control plane:
// its start, a list beyond its requests to the API server, and a list of many clients. It fails if
// a goal is missed.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"time"

	"github.com/go-logr/logr"
	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/hallpass-dev/hallpass/test/bench/program"
	"github.com/hallpass-dev/hallpass/test/kit/controlplane"
	"github.com/hallpass-dev/hallpass/test/kit/installation"
)

// settings are the flags.
type settings struct {
	rounds, clients int
	root            string // of the repository
	output          io.Writer
	// goals is false for a run that measures alone.
	goals bool
}

func main() {
	s := settings{root: ".", output: os.Stdout, goals: true}
	flag.IntVar(&s.rounds, "rounds", 20, "runs of each command, after three that warm up")
	flag.IntVar(&s.clients, "clients", 1000, "clients in the long list")
	program.Run("bench-cli", func(ctx context.Context) error { return run(ctx, s) })
}

// figure is a measured time and the goal for it.
type figure struct {
	what string
	goal time.Duration
	got  []time.Duration
}

func run(ctx context.Context, s settings) (err error) {
	ctrl.SetLogger(logr.Discard()) // or controller-runtime prints a warning
	_, _ = fmt.Fprintf(s.output, "%s %s/%s, %d CPUs; %d runs of each command; API server and etcd on this machine\n",
		runtime.Version(), runtime.GOOS, runtime.GOARCH, runtime.NumCPU(), s.rounds)
	dir, err := os.MkdirTemp("", "hallpass-bench-cli-")
	if err != nil {
		return fmt.Errorf("make a directory: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	program, err := build(ctx, s.root, dir)
	if err != nil {
		return err
	}
	cp, err := controlplane.Start(ctx, controlplane.Options{})
	if err != nil {
		return fmt.Errorf("start a control plane: %w", err)
	}
	defer func() { err = errors.Join(err, cp.Stop()) }()
	if err := installation.Install(ctx, cp, s.root); err != nil {
		return fmt.Errorf("install: %w", err)
	}
	w, err := populate(ctx, cp, s.clients)
	if err != nil {
		return err
	}
	defer w.stop()
	b := bench{settings: s, program: program, kubeconfig: filepath.Join(dir, "kubeconfig"), world: w}
	if err := w.writeKubeconfig(b.kubeconfig); err != nil {
		return err
	}
	return b.measure(ctx)
}

// build builds the plugin as it is released, which takes less time to start than with symbols.
func build(ctx context.Context, root, dir string) (string, error) {
	program := filepath.Join(dir, "kubectl-hallpass")
	command := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags=-s -w", "-o", program, "./cmd/kubectl-hallpass")
	command.Dir, command.Env = root, append(os.Environ(), "CGO_ENABLED=0")
	if output, err := command.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build the plugin: %w: %s", err, output)
	}
	return program, nil
}

// bench runs commands.
type bench struct {
	settings

	program, kubeconfig string
	world               *world
}

// The goals, in the words of the page on performance.
const (
	startGoal = 80 * time.Millisecond
	getGoal   = 150 * time.Millisecond
	manyGoal  = time.Second
)

func (b bench) measure(ctx context.Context) error {
	figures := []figure{
		{what: "version --client", goal: startGoal}, {what: "get clients, beyond the requests to the API server", goal: getGoal},
		{what: fmt.Sprintf("get clients, %d of them", b.clients), goal: manyGoal},
	}
	const warmUp = 3
	for round := range b.rounds + warmUp {
		for i, measured := range []func(context.Context) (time.Duration, error){
			func(ctx context.Context) (time.Duration, error) { return b.time(ctx, "version", "--client") },
			b.beyondRequests,
			func(ctx context.Context) (time.Duration, error) {
				return b.time(ctx, "get", "clients", "--namespace", many)
			},
		} {
			took, err := measured(ctx)
			if err != nil {
				return err
			}
			if round >= warmUp {
				figures[i].got = append(figures[i].got, took)
			}
		}
	}
	return b.report(figures)
}

// time runs the plugin.
func (b bench) time(ctx context.Context, args ...string) (time.Duration, error) {
	command := exec.CommandContext(ctx, b.program, args...)
	command.Env = append(os.Environ(), "KUBECONFIG="+b.kubeconfig)
	started := time.Now()
	output, err := command.CombinedOutput()
	took := time.Since(started)
	if err != nil {
		return 0, fmt.Errorf("%v: %w: %s", args, err, output)
	}
	return took, nil
}

// beyondRequests lists one client, and subtracts the time in which the API server had a request.
func (b bench) beyondRequests(ctx context.Context) (time.Duration, error) {
	b.world.requests.reset()
	took, err := b.time(ctx, "get", "clients", "--namespace", few)
	busy, count := b.world.requests.sum()
	if err == nil && count == 0 {
		err = errors.New("no request has reached the API server by way of this process")
	}
	return took - busy, err
}

// report prints the figures, and fails if a median is above its goal.
func (b bench) report(figures []figure) error {
	var missed []error
	for _, f := range figures {
		slices.Sort(f.got)
		median := f.got[len(f.got)/2]
		_, _ = fmt.Fprintf(b.output, "%-55s median %4d ms, worst %4d ms; the goal is %4d ms\n", f.what,
			median.Milliseconds(), f.got[len(f.got)-1].Milliseconds(), f.goal.Milliseconds())
		if b.goals && median > f.goal {
			missed = append(missed, fmt.Errorf("%s takes %s, and the goal is %s", f.what, median.Round(time.Millisecond), f.goal))
		}
	}
	return errors.Join(missed...)
}
