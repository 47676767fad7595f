// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"
)

func TestMain(m *testing.M) {
	if os.Getenv(roleVariable) == "" {
		os.Exit(m.Run())
	}
	if err := begin(context.Background(), settings{}); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// TestAnHonestTenantIsNotRefusedBesideHostileOnes runs all of it with a few tenants. How long the
// honest one waits is measured by make tenants alone.
func TestAnHonestTenantIsNotRefusedBesideHostileOnes(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("the CPU time of a process is read on Linux only")
	}
	var output bytes.Buffer
	s := settings{tenants: 3, rounds: 1, turn: time.Second, settle: time.Second / 2, share: 0.30, output: &output}
	if err := run(t.Context(), s); err != nil {
		t.Fatalf("%v\n%s", err, &output)
	}
	for _, a := range actions {
		if !strings.Contains(output.String(), a.name+" 200: ") && !strings.Contains(output.String(), a.name+" done: ") && a.name != "made-up credentials" {
			t.Errorf("no hostile tenant succeeded with %s:\n%s", a.name, &output)
		}
	}
	if strings.Contains(output.String(), "made-up credentials 200") {
		t.Errorf("a made-up credential passed:\n%s", &output)
	}
	t.Log(output.String())
}
