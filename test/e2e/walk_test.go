// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package e2e_test

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var (
	shellBlock = regexp.MustCompile("(?ms)^```sh\n(.*?)^```$")
	runTimeout = 15 * time.Minute
)

// TestMakeRunAndTheWalkOfTheREADME does what a newcomer does: runs the program behind make run,
// waits for its env file, types every command of the README's walk, and ends it with Ctrl-C.
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
		"docs/find-unused-clients.md", "docs/pass-on-a-token.md",
	} {
		commands := exec.CommandContext(ctx, "sh", "-e")
		commands.Dir = root()
		commands.Stdin = strings.NewReader(". " + filepath.Base(dir) + "/env\n" + shellOf(t, page, 2))
		if said, err := commands.CombinedOutput(); err != nil {
			t.Errorf("the commands of %s fail: %v\n%s", page, err, said)
		}
	}
	typeTheNginxPage(ctx, t, filepath.Base(dir))
	typeTheMCPPage(ctx, t, filepath.Base(dir))
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

// typeTheNginxPage types the page that puts an API of the reader behind nginx, with other addresses
// alone.
func typeTheNginxPage(ctx context.Context, t *testing.T, dir string) {
	t.Helper()
	const page = "docs/proxies/behind-nginx.md"
	if _, err := os.Stat("/usr/sbin/nginx"); err != nil {
		if os.Getenv("CI") != "" {
			t.Error(err)
		}
		t.Logf("%s is not typed: %v", page, err)
		return
	}
	var mu sync.Mutex
	var callers []string
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		callers = append(callers, r.Header.Get("X-Auth-Client-Id")+" may "+r.Header.Get("X-Auth-Scopes"))
		_, _ = io.WriteString(w, "this is the reader's API\n")
	}))
	defer api.Close()
	addresses := strings.NewReplacer("upstream=127.0.0.1:9000\n", "upstream="+api.Listener.Addr().String()+"\n", "listen=127.0.0.1:8088\n", "listen="+freeAddress(t)+"\n")
	typed := exec.CommandContext(ctx, "sh", "-e")
	typed.Dir = root()
	typed.Stdin = strings.NewReader(". " + dir + "/env\n" + addresses.Replace(shellOf(t, page, 5)))
	said, err := typed.CombinedOutput()
	if err != nil {
		t.Errorf("the commands of %s fail: %v\n%s", page, err, said)
	}
	for _, want := range []string{"HTTP/1.1 401", "An access token is needed", "HTTP/1.1 200", "this is the reader's API", "HTTP/1.1 403", `error="insufficient_scope"`} {
		if !strings.Contains(string(said), want) {
			t.Errorf("the page does not show %s:\n%s", want, said)
		}
	}
	mu.Lock()
	defer mu.Unlock()
	if diff := cmp.Diff([]string{"shop.visitor may read"}, callers); diff != "" {
		t.Errorf("who reached the API (-want +got):\n%s", diff)
	}
}

// typeTheMCPPage types the page that puts an MCP server behind nginx and has an agent call it, with
// other addresses alone.
func typeTheMCPPage(ctx context.Context, t *testing.T, dir string) {
	t.Helper()
	const page = "docs/mcp.md"
	for _, program := range []string{"/usr/sbin/nginx", "/usr/bin/openssl"} {
		if _, err := os.Stat(program); err != nil {
			if os.Getenv("CI") != "" {
				t.Error(err)
			}
			t.Logf("%s is not typed: %v", page, err)
			return
		}
	}
	addresses := strings.NewReplacer("listen=127.0.0.1:8443\n", "listen="+freeAddress(t)+"\n", "server=127.0.0.1:9000\n", "server="+freeAddress(t)+"\n")
	typed := exec.CommandContext(ctx, "sh", "-e")
	typed.Dir = root()
	typed.Stdin = strings.NewReader(". " + dir + "/env\n" + addresses.Replace(shellOf(t, page, 8)))
	// the server ends with it where the page is not typed to its end
	typed.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	said, err := typed.CombinedOutput()
	_ = syscall.Kill(-typed.Process.Pid, syscall.SIGKILL)
	if err != nil {
		t.Errorf("the commands of %s fail: %v\n%s", page, err, said)
	}
	for _, want := range []string{"HTTP/1.1 401", `scope="tools.call", resource_metadata="https://`, `"authorization_servers":["https://`} {
		if !strings.Contains(string(said), want) {
			t.Errorf("the page does not show %s:\n%s", want, said)
		}
	}
	// by hand, through nginx, and at the server itself
	if calls := strings.Count(string(said), "you are agents.agent"); calls != 3 {
		t.Errorf("the tool is called %d times, want 3:\n%s", calls, said)
	}
}

// startedWithoutErrors reads what both processes log until the first token is there.
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
