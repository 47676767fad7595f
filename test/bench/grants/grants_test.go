// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"path/filepath"
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
	s := settings{clients: 20, resources: 4, changes: 4, idle: time.Second, root: filepath.Join("..", "..", ".."), output: &output}
	if err := run(t.Context(), s); err != nil {
		t.Fatalf("%v\n%s", err, &output)
	}
	for _, figure := range []string{"honoured by the token server, worst", "has followed the last change", "Ready after", "writes of the restarted manager"} {
		if !strings.Contains(output.String(), figure) {
			t.Errorf("no %q in:\n%s", figure, &output)
		}
	}
}
