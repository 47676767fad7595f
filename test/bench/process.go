// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

const (
	startLimit = time.Minute
	startPoll  = time.Millisecond
)

// process is a server that is measured.
type process struct {
	name string
	// plain and tls are where it serves HTTP and HTTPS; empty if it does not.
	plain, tls string
	// envoy is where it answers Envoy by gRPC; empty if it does not.
	envoy string
	// ops is its other port, and profiles the one of net/http/pprof if it has one.
	ops, profiles string

	pid int
	// command is what was started: the server, or a script that started it.
	command *exec.Cmd
}

// origin is where it serves a transport of HTTP.
func (p *process) origin(t transport) string {
	if t == plainHTTP {
		return p.plain
	}
	return p.tls
}

// build builds a program of this module.
func build(ctx context.Context, dir, name, pkg string) (string, error) {
	program := filepath.Join(dir, name)
	command := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags=-s -w", "-o", program, pkg)
	command.Env = append(os.Environ(), "CGO_ENABLED=0")
	if output, err := command.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build %s: %w: %s", pkg, err, output)
	}
	return program, nil
}

// launch starts a server whose output goes to a file, as that of a container does.
func launch(ctx context.Context, dir, name string, env []string, args ...string) (*process, error) {
	output, err := os.Create(filepath.Join(dir, name+".log"))
	if err != nil {
		return nil, err
	}
	defer func() { _ = output.Close() }()
	command := exec.CommandContext(ctx, args[0], args[1:]...)
	command.Stdout, command.Stderr = output, output
	command.Env = append(os.Environ(), env...)
	if err := command.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	return &process{name: name, pid: command.Process.Pid, command: command}, nil
}

// stop ends the server at once.
func (p *process) stop() {
	if p.command.ProcessState == nil {
		if server, err := os.FindProcess(p.pid); err == nil && p.pid != p.command.Process.Pid {
			_ = server.Kill() // which the command started
		}
		_ = p.command.Process.Kill()
		_ = p.command.Wait()
	}
}

// answers waits until an address answers 200.
func answers(ctx context.Context, client *http.Client, url string) error {
	return patiently(ctx, func() error {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
		if err != nil {
			return err
		}
		response, err := client.Do(request)
		if err != nil {
			return err
		}
		_ = response.Body.Close()
		if response.StatusCode != http.StatusOK {
			return fmt.Errorf("%s answers %s", url, response.Status)
		}
		return nil
	})
}

// patiently tries something again until it succeeds, within the time that a server may take to
// start.
func patiently(ctx context.Context, try func() error) error {
	return within(ctx, startLimit, try)
}

// within does so within another time.
func within(ctx context.Context, limit time.Duration, try func() error) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	for {
		err := try()
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("a server did not start: %w", err)
		case <-time.After(startPoll):
		}
	}
}
