// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package e2e_test

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

var (
	shellBlock = regexp.MustCompile("(?ms)^```sh\n(.*?)^```$")
	runTimeout = 5 * time.Minute
)

// TestMakeRunAndTheWalkOfTheREADME does what a newcomer does: runs the program behind make run, waits for its env file, types
// every command of the README's walk, and ends it with Ctrl-C.
func TestMakeRunAndTheWalkOfTheREADME(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), runTimeout)
	defer cancel()
	program := filepath.Join(t.TempDir(), "run")
	if output, err := command(ctx, "go", "build", "-o", program, "./hack/run").CombinedOutput(); err != nil {
		t.Fatalf("build: %v: %s", err, output)
	}
	dir, err := os.MkdirTemp(root(), ".run-test-") //nolint:usetesting // make run takes a directory below the current one
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	var output bytes.Buffer
	running := command(ctx, program, "-dir", filepath.Base(dir))
	running.Stdout, running.Stderr = &output, &output
	if err := running.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- running.Wait() }()
	env := filepath.Join(dir, "env")
	for {
		if info, err := os.Stat(env); err == nil {
			if info.Mode().Perm() != 0o600 {
				t.Errorf("the env file has mode %o, want 600", info.Mode().Perm())
			}
			break
		}
		select {
		case err := <-ended:
			t.Fatalf("make run ended: %v\n%s", err, output.String())
		case <-ctx.Done():
			t.Fatal("make run wrote no env file in time")
		case <-time.After(100 * time.Millisecond):
		}
	}

	walk := exec.CommandContext(ctx, "sh", "-e")
	walk.Dir = root()
	walk.Stdin = strings.NewReader(". " + filepath.Base(dir) + "/env\n" + readmeWalk(t))
	said, err := walk.CombinedOutput()
	if err != nil {
		t.Errorf("the walk of the README fails: %v\n%s", err, said)
	}
	for _, want := range []string{`"active":true`, `"access_token"`, `"error":"invalid_client"`, `{"active":false}`, `"jwks_uri"`} {
		if !strings.Contains(string(said), want) {
			t.Errorf("the walk does not show %s:\n%s", want, said)
		}
	}
	metrics, err := command(ctx, "sh", "-ec", ". "+filepath.Base(dir)+"/env; curl --silent --fail \"$HALLPASS_METRICS_URL\"").CombinedOutput()
	if err != nil || !strings.Contains(string(metrics), "hallpass_requests_total") {
		t.Errorf("the metrics URL of the env file: %v: %s", err, metrics)
	}

	if err := running.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; err != nil {
		t.Errorf("make run ended with %v after Ctrl-C, want exit status 0\n%s", err, output.String())
	}
	if _, err := os.Stat(env); err == nil {
		t.Error("the env file is still there although nothing runs")
	}
}

// readmeWalk is every sh block of the README, in order.
func readmeWalk(t *testing.T) string {
	t.Helper()
	readme, err := os.ReadFile(filepath.Join(root(), "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	var walk strings.Builder
	blocks := shellBlock.FindAllStringSubmatch(string(readme), -1)
	if len(blocks) < 5 {
		t.Fatalf("the README has %d blocks of shell, want at least 5", len(blocks))
	}
	for _, block := range blocks {
		walk.WriteString(block[1])
	}
	return walk.String()
}

// command runs at the root of the repository.
func command(ctx context.Context, name string, args ...string) *exec.Cmd {
	c := exec.CommandContext(ctx, name, args...)
	c.Dir = root()
	return c
}
