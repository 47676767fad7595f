// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"fmt"
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

func TestGrowthIsAPowerOfTheNumberOfClients(t *testing.T) {
	var output strings.Builder
	say := func(format string, args ...any) { fmt.Fprintf(&output, format, args...) }
	small := figures{clients: 10, lines: []figure{{"in proportion", 2, "s"}, {"not at all", 3, "s"}, {"by the square", 1, "s"}, {"from nothing", 0, ""}}}
	large := figures{clients: 100, lines: []figure{{"in proportion", 20, "s"}, {"not at all", 3, "s"}, {"by the square", 100, "s"}, {"from nothing", 0, ""}}}
	grow(small, large, say)
	for name, want := range map[string]string{"in proportion": "1.00", "not at all": "0.00", "by the square": "2.00", "from nothing": "-"} {
		for line := range strings.Lines(output.String()) {
			if strings.Contains(line, name) && strings.Fields(line)[len(strings.Fields(line))-1] != want {
				t.Errorf("%s: want %s", line, want)
			}
		}
	}
}
