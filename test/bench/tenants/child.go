// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"time"

	"github.com/hallpass-dev/hallpass/test/bench/cputime"
)

// assignment is the first line that a child reads, in JSON. Each further line is a level.
type assignment struct {
	Kubeconfig string `json:"kubeconfig"`
	Issuer     string `json:"issuer"`
	Tenants    int    `json:"tenants"`
}

// child is a process that takes as much CPU as its level sets.
type child struct {
	command *exec.Cmd
	in      io.WriteCloser
	out     *bufio.Reader
	// at is the last level that was not zero; at first the one to begin with.
	at float64
}

// launch starts a child and waits until it is ready.
func (w *world) launch(ctx context.Context, s settings, role string) (*child, error) {
	c, err := command(ctx, role)
	if err != nil {
		return nil, err
	}
	started := &child{command: c, at: 1}
	if role == roleSpinner {
		started.at = s.share
	}
	if started.in, err = c.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := c.StdoutPipe()
	if err != nil {
		return nil, err
	}
	started.out = bufio.NewReader(out)
	if err := c.Start(); err != nil {
		return nil, fmt.Errorf("start a %s: %w", role, err)
	}
	first, err := json.Marshal(assignment{Kubeconfig: w.cp.Kubeconfig(), Issuer: w.issuer, Tenants: s.tenants})
	if err != nil {
		return nil, err
	}
	if _, err := fmt.Fprintf(started.in, "%s\n", first); err != nil {
		return nil, fmt.Errorf("start a %s: %w", role, err)
	}
	if ready, err := started.out.ReadString('\n'); err != nil {
		started.stop()
		return nil, fmt.Errorf("a %s is not ready: %s %w", role, ready, err)
	}
	return started, nil
}

// level sets how much the child does: a share of the machine, or rounds of the hostile tenants a
// second.
func (c *child) level(level float64) error {
	if level > 0 {
		c.at = level
	}
	if _, err := fmt.Fprintln(c.in, level); err != nil {
		return fmt.Errorf("set the level: %w", err)
	}
	return nil
}

func (c *child) cpu() time.Duration {
	used, _ := cputime.Of(c.command.Process.Pid)
	return used
}

// end has the child stop, and returns the last line that it writes.
func (c *child) end() (string, error) {
	_ = c.in.Close()
	last, err := c.out.ReadString('\n')
	if err != nil {
		return "", fmt.Errorf("the end of a child: %w", err)
	}
	return strings.TrimSpace(last), nil
}

func (c *child) stop() {
	_ = c.in.Close()
	_ = c.command.Process.Kill()
	_ = c.command.Wait()
}

// levels calls set with each level that comes in, until there are no more.
func levels(in *bufio.Scanner, set func(float64)) {
	for in.Scan() {
		var level float64
		if _, err := fmt.Sscan(in.Text(), &level); err == nil {
			set(level)
		}
	}
}

// spin takes the share of each CPU that its level sets.
func spin(in io.Reader, out io.Writer) error {
	const period = 10 * time.Millisecond
	var mu sync.Mutex
	share := 0.0
	now := func() float64 {
		mu.Lock()
		defer mu.Unlock()
		return share
	}
	for range runtime.NumCPU() {
		go func() {
			for {
				began := time.Now()
				busy := time.Duration(now() * float64(period))
				left := busy
				for left > 0 {
					left = busy - time.Since(began)
				}
				time.Sleep(max(period-busy, time.Millisecond))
			}
		}()
	}
	lines := bufio.NewScanner(in)
	lines.Scan() // the assignment, which has nothing for a spinner
	if _, err := fmt.Fprintln(out, "ready"); err != nil {
		return err
	}
	levels(lines, func(level float64) {
		mu.Lock()
		defer mu.Unlock()
		share = min(level, 1)
	})
	return nil
}
