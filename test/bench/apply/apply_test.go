// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"path/filepath"
	"testing"
	"time"
)

// TestTheBenchmarkRuns runs all of it with a few clients; it fails where a first request fails or anything is left behind.
func TestTheBenchmarkRuns(t *testing.T) {
	t.Chdir(filepath.Join("..", "..", ".."))
	if err := measure(t.Context(), settings{clients: 3, rounds: 3, lag: 200 * time.Millisecond, idle: time.Second}); err != nil {
		t.Fatal(err)
	}
}
