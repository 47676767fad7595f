// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestTheBenchmarkMeasuresEveryFigure runs all of it with a few clients.
func TestTheBenchmarkMeasuresEveryFigure(t *testing.T) {
	var output bytes.Buffer
	if err := run(t.Context(), settings{rounds: 1, clients: 3, root: filepath.Join("..", "..", ".."), output: &output}); err != nil {
		t.Fatalf("%v\n%s", err, &output)
	}
	for _, figure := range []string{"version --client ", "get clients, beyond the requests", "get clients, 3 of them"} {
		if !strings.Contains(output.String(), figure) {
			t.Errorf("no %q in:\n%s", figure, &output)
		}
	}
}

// TestAGoalThatIsMissedFails reports a figure above its goal.
func TestAGoalThatIsMissedFails(t *testing.T) {
	figures := []figure{
		{"quick", time.Second, []time.Duration{time.Minute, time.Millisecond, time.Millisecond}},
		{"slow", time.Second, []time.Duration{time.Minute, time.Minute, time.Millisecond}},
	}
	var output bytes.Buffer
	err := bench{settings: settings{goals: true, output: &output}}.report(figures)
	if err == nil || !strings.Contains(err.Error(), "slow takes 1m0s, and the goal is 1s") || strings.Contains(err.Error(), "quick") {
		t.Errorf("%v\n%s", err, &output)
	}
}
