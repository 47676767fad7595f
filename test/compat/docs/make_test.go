// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package docs_test

import (
	"bufio"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// What make run does first is to print what it does and what is left: compiling may take minutes.
func TestMakeRunSpeaksAtOnce(t *testing.T) {
	dry := exec.Command("make", "--dry-run", "run") //nolint:noctx // it prints and ends
	dry.Dir = root
	recipe, err := dry.Output()
	if err != nil {
		t.Fatal(err)
	}
	first, _, _ := strings.Cut(string(recipe), "\n")
	for _, want := range []string{"echo ", "Compiling", "control plane", "token"} {
		if !strings.Contains(first, want) {
			t.Errorf("the first command is %s, without %q", first, want)
		}
	}
}

// Each tool is built by way of hack/progress.sh, which prints how far it is.
func TestALongBuildTellsHowFarItIs(t *testing.T) {
	fifo := filepath.Join(t.TempDir(), "fifo")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	const build = `echo "go: downloading example.com/a v1.0.0" >&2; echo example.com/a >&2; echo example.com/b >&2; cat "$0"; echo "a.go:1:1: no such name" >&2; exit 1`
	progress := exec.CommandContext(t.Context(), filepath.Join(root, "hack/progress.sh"), "helm", "sh", "-c", build, fifo)
	progress.Env = append(os.Environ(), "PROGRESS_INTERVAL=1")
	said, err := progress.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := progress.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(said)
	if !lines.Scan() || !strings.HasPrefix(lines.Text(), "helm: 1 modules downloaded, 2 packages compiled after ") {
		t.Errorf("while it builds it says %q", lines.Text())
	}
	if err := os.WriteFile(fifo, nil, 0o600); err != nil { // the build continues, and fails
		t.Fatal(err)
	}
	last := ""
	for lines.Scan() {
		last = lines.Text()
	}
	if err := progress.Wait(); err == nil || last != "a.go:1:1: no such name" {
		t.Errorf("a build that fails ends with %v and says %q", err, last)
	}
	for _, file := range []string{"Makefile", "hack/validators.sh"} {
		for line := range strings.Lines(read(t, file)) {
			if strings.Contains(line, "go build") && (strings.Contains(line, "-o $@") || strings.Contains(line, "-o \"$program")) && !strings.Contains(line, "progress") {
				t.Errorf("%s builds without a word: %s", file, line)
			}
		}
	}
}
