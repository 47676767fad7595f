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
	runTimeout = 15 * time.Minute
)

// TestMakeRunAndTheWalkOfTheREADME does what a newcomer does: runs the program behind make run, waits for its env file, types
// every command of the README's walk, and ends it with Ctrl-C.
func TestMakeRunAndTheWalkOfTheREADME(t *testing.T) {
	t.Parallel()
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

	startedWithoutErrors(t, dir)
	second, err := command(ctx, program, "-dir", filepath.Base(dir)).CombinedOutput()
	if err == nil || !strings.Contains(string(second), filepath.Base(dir)+". End it with Ctrl-C in its terminal, or start this one in a directory of its own") {
		t.Errorf("a second one in the folder: %v: %s", err, second)
	}

	walk := exec.CommandContext(ctx, "sh", "-e")
	walk.Dir = root()
	walk.Stdin = strings.NewReader(". " + filepath.Base(dir) + "/env\n" + shellOf(t, "README.md", 5))
	said, err := walk.CombinedOutput()
	if err != nil {
		t.Errorf("the walk of the README fails: %v\n%s", err, said)
	}
	for _, want := range []string{`"active":true`, `"access_token"`, `"error":"invalid_client"`, `{"active":false}`, `"jwks_uri"`} {
		if !strings.Contains(string(said), want) {
			t.Errorf("the walk does not show %s:\n%s", want, said)
		}
	}
	for _, page := range []string{
		"docs/rotate-a-secret.md", "docs/protect-an-api.md", "docs/many-teams.md", "docs/revocation.md", "docs/give-a-token.md",
		"docs/find-unused-clients.md",
	} {
		commands := exec.CommandContext(ctx, "sh", "-e")
		commands.Dir = root()
		commands.Stdin = strings.NewReader(". " + filepath.Base(dir) + "/env\n" + shellOf(t, page, 2))
		if said, err := commands.CombinedOutput(); err != nil {
			t.Errorf("the commands of %s fail: %v\n%s", page, err, said)
		}
	}
	for variable, metric := range map[string]string{"HALLPASS_METRICS_URL": "hallpass_requests_total", "HALLPASS_MANAGER_METRICS_URL": "hallpass_clients"} {
		metrics, err := command(ctx, "sh", "-ec", ". "+filepath.Base(dir)+"/env; curl --silent --fail \"$"+variable+"\"").CombinedOutput()
		if err != nil || !strings.Contains(string(metrics), metric) {
			t.Errorf("%s of the env file: %v: %s", variable, err, metrics)
		}
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
	for _, want := range []string{"==> 1 of 7: Start a Kubernetes control plane", "==> 7 of 7: Ask about it", "Ctrl-C ends everything and deletes this cluster with all that you applied"} {
		if !strings.Contains(output.String(), want) {
			t.Errorf("make run does not say %q:\n%s", want, output.String())
		}
	}
}

// startedWithoutErrors looks into what both processes log until the first token is there.
func startedWithoutErrors(t *testing.T, dir string) {
	t.Helper()
	for _, name := range []string{"manager.log", "tokenserver.log"} {
		log, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(log)) {
			if strings.Contains(line, `"level":"ERROR"`) {
				t.Errorf("a fresh start logs %s", line)
			}
		}
	}
}

// shellOf is every sh block of a page, in order.
func shellOf(t *testing.T, page string, least int) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root(), page))
	if err != nil {
		t.Fatal(err)
	}
	var commands strings.Builder
	blocks := shellBlock.FindAllStringSubmatch(string(text), -1)
	if len(blocks) < least {
		t.Fatalf("%s has %d blocks of shell, want at least %d", page, len(blocks), least)
	}
	for _, block := range blocks {
		commands.WriteString(block[1])
	}
	return commands.String()
}

// command runs at the root of the repository.
func command(ctx context.Context, name string, args ...string) *exec.Cmd {
	c := exec.CommandContext(ctx, name, args...)
	c.Dir = root()
	return c
}
