// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"
	"time"
)

// TestTheBenchmarkRuns runs all of it with a few clients; it fails where a first request fails or
// anything is left behind.
func TestTheBenchmarkRuns(t *testing.T) {
	t.Chdir(filepath.Join("..", "..", ".."))
	if err := measure(t.Context(), settings{clients: 3, rounds: 3, lag: 200 * time.Millisecond, idle: time.Second}); err != nil {
		t.Fatal(err)
	}
}

func TestAManagerAboveTheGoalFails(t *testing.T) {
	turns := func(seconds ...int) (turns []turn) {
		for _, s := range seconds {
			turns = append(turns, turn{processor: time.Duration(s) * time.Second})
		}
		return turns
	}
	processor := func(t turn) time.Duration { return t.processor }
	for name, c := range map[string]struct {
		now   []turn
		goal  float64
		fails bool
	}{
		"at the goal":            {turns(103, 103, 103), 1.03, false},
		"one round is slow":      {turns(100, 100, 200), 1.03, false},
		"the median is above it": {turns(100, 104, 104), 1.03, true},
		"there is no goal":       {turns(200, 200, 200), 0, false},
	} {
		if err := compare("CPU", c.now, turns(100, 100, 100), c.goal, processor); (err != nil) != c.fails {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestManagersAreCompared compares the manager with itself.
func TestManagersAreCompared(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("the CPU time of a process is read on Linux only")
	}
	t.Chdir(filepath.Join("..", "..", ".."))
	manager := filepath.Join(t.TempDir(), "of-before")
	build := exec.CommandContext(t.Context(), "go", "build", "-trimpath", "-ldflags=-s -w", "-o", manager, "./cmd/manager")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if output, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, output)
	}
	if err := measure(t.Context(), settings{clients: 2, rounds: 2, against: manager}); err != nil {
		t.Fatal(err)
	}
	if err := measure(t.Context(), settings{against: manager + "-gone"}); err == nil {
		t.Error("a binary that is not there is no error")
	}
}
