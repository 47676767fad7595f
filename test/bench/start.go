// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	// maxStarts is how often each server is started; less where there are fewer rounds.
	maxStarts = 3
	// settled is when what a start leaves behind was given back.
	settled = 1500 * time.Millisecond
)

// start measures how long each server takes from its start to its first token, with all clients
// loaded, and what it holds in memory then.
func (w *world) start(ctx context.Context) error {
	type result struct {
		took   []time.Duration
		memory []float64
	}
	servers := []string{"floor", "hallpass"}
	if w.against != "" {
		servers = append(servers, before)
	}
	starts := min(maxStarts, w.rounds)
	results := map[string]*result{"floor": {}, "hallpass": {}, before: {}}
	for round := range starts {
		for _, server := range servers {
			began := time.Now()
			p, err := w.startNamed(ctx, server, fmt.Sprintf("start-%s-%d", server, round))
			if err != nil {
				return err
			}
			calls, err := tokenRequests(w, round)
			if err != nil {
				return err
			}
			c := w.byHTTP(plainHTTP, p.plain)
			if err := c.ask(ctx, path{}, calls[0]); err != nil {
				return fmt.Errorf("first token of %s: %w", server, err)
			}
			results[server].took = append(results[server].took, time.Since(began))
			c.close()
			time.Sleep(settled)
			memory, err := residentMemory(p.pid)
			if err != nil {
				return err
			}
			results[server].memory = append(results[server].memory, memory)
			p.stop()
		}
	}
	for _, server := range servers {
		r := results[server]
		slices.Sort(r.took)
		slices.Sort(r.memory)
		w.print("%-10s start to first token %s, then %.1f MiB resident (medians of %d)\n", server, at(r.took, .5).Round(time.Millisecond), at(r.memory, .5), starts)
	}
	return nil
}

func (w *world) startNamed(ctx context.Context, server, name string) (*process, error) {
	switch server {
	case "floor":
		return w.startFloor(ctx, name)
	case before:
		return w.startTokenServer(ctx, w.against, name, false)
	default:
		return w.startTokenServer(ctx, w.tokenServerProgram, name, false)
	}
}

// residentMemory is the resident memory of a process in MiB.
func residentMemory(pid int) (float64, error) {
	file, err := os.Open(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	defer func() { _ = file.Close() }()
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		if value, found := strings.CutPrefix(lines.Text(), "VmRSS:"); found {
			kilobytes, err := strconv.ParseFloat(strings.TrimSpace(strings.TrimSuffix(value, "kB")), 64)
			return kilobytes / 1024, err
		}
	}
	return 0, errors.New("no VmRSS")
}
