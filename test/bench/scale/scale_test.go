// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hallpass-dev/hallpass/test/kit/controlplane"
)

// TestTheBenchmarkMeasuresEveryFigure runs all of it with a few clients.
func TestTheBenchmarkMeasuresEveryFigure(t *testing.T) {
	if _, err := controlplane.FindAssets(t.Context(), t.Output()); err != nil {
		t.Fatal(err)
	}
	var output bytes.Buffer
	if err := run(t.Context(), settings{sizes: "20", copies: 200, idle: time.Second, output: &output}); err != nil {
		t.Fatal(err)
	}
	for _, figure := range []string{"last client Ready after", "writes of the restarted manager", "a change is in tokens after, worst",
		"database of etcd a client, with its event", "database of etcd a client, without its event"} {
		if !strings.Contains(output.String(), figure) {
			t.Errorf("no %q in:\n%s", figure, &output)
		}
	}
}

func TestAMissedGoalIsAnError(t *testing.T) {
	for name, c := range map[string]struct {
		clients int
		value   float64
		want    []string
	}{
		"reached":            {10_000, 4, nil},
		"missed":             {10_000, 5.02, []string{"with 10000 clients, memory is 5.02 KiB, and the goal is at most 4"}},
		"with a few clients": {9_999, 500, nil},
	} {
		t.Run(name, func(t *testing.T) {
			found := figures{clients: c.clients}
			found.add("other", 1000, "s")
			found.aim("memory", c.value, "KiB", 4)
			if got := found.missed(); !slices.Equal(got, c.want) {
				t.Errorf("%q, want %q", got, c.want)
			}
		})
	}
}

func TestGrowthIsAPowerOfTheNumberOfClients(t *testing.T) {
	var output strings.Builder
	say := func(format string, args ...any) { fmt.Fprintf(&output, format, args...) }
	line := func(name string, value float64) figure { return figure{name: name, value: value, unit: "s"} }
	small := figures{clients: 10, lines: []figure{line("in proportion", 2), line("not at all", 3), line("by the square", 1), line("from nothing", 0)}}
	large := figures{clients: 100, lines: []figure{line("in proportion", 20), line("not at all", 3), line("by the square", 100), line("from nothing", 0)}}
	grow(small, large, say)
	for name, want := range map[string]string{"in proportion": "1.00", "not at all": "0.00", "by the square": "2.00", "from nothing": "-"} {
		for line := range strings.Lines(output.String()) {
			if strings.Contains(line, name) && strings.Fields(line)[len(strings.Fields(line))-1] != want {
				t.Errorf("%s: want %s", line, want)
			}
		}
	}
}
