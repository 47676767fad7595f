// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package mcp_test

import (
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/hallpass-dev/hallpass/test/kit/packages"
	"github.com/hallpass-dev/hallpass/test/kit/world"
)

// leastNode is the Node that the SDKs need.
const leastNode = 20

// node runs call.mjs beside the SDKs, which npm installs by the lock file.
func node(major, method string) func(t *testing.T, w *scene) *exec.Cmd {
	return func(t *testing.T, w *scene) *exec.Cmd {
		t.Helper()
		if version := packages.NodeVersion(t); version < leastNode {
			t.Skipf("NOT RUN: the SDKs need Node %d or later, and this is %d", leastNode, version)
		}
		dir := packages.NPM(t, "test/compat/mcp/node")
		call := exec.CommandContext(t.Context(), "node", "call.mjs", major, method)
		call.Dir, call.Env = dir, append(w.environment(clients[method]), "NODE_EXTRA_CA_CERTS="+w.caFile)
		return call
	}
}

// python runs call.py in an environment of its own, into which pip installs the SDK.
func python(major, method string) func(t *testing.T, w *scene) *exec.Cmd {
	return func(t *testing.T, w *scene) *exec.Cmd {
		t.Helper()
		interpreter := packages.Python(t, "test/compat/mcp/python", "requirements-"+major+".txt")
		call := exec.CommandContext(t.Context(), interpreter, filepath.Join("python", "call.py"), method)
		call.Env = append(w.environment(clients[method]), "SSL_CERT_FILE="+w.caFile)
		return call
	}
}

// clients are those that authenticate by a method.
var clients = map[string]string{"secret": bySecret, "post": bySecret, "key": byKey, "assertion": byAccount, "pod": byAccount, "person": bySecret, "": bySecret}

// environment is what the programs of the SDKs read.
func (w *scene) environment(client string) []string {
	return append(os.Environ(), "MCP_URL="+w.resource, "ISSUER="+w.issuer, "CLIENT_ID="+client, "CLIENT_SECRET="+w.hallpass.Secret(client),
		"KEY_FILE="+filepath.Join(w.dir, "key.pem"), "ASSERTION_FILE="+filepath.Join(w.dir, "token"),
		"PERSON_FILE="+filepath.Join(w.dir, "person"))
}

// agent runs the agent of docs/mcp. Its directory is what a pod mounts.
func agent(method string) func(t *testing.T, w *scene) *exec.Cmd {
	return func(t *testing.T, w *scene) *exec.Cmd {
		t.Helper()
		ca, err := os.ReadFile(w.caFile)
		world.Must(t, err)
		files := map[string]string{"issuer_url": w.issuer, "ca.crt": string(ca), "token": w.hallpass.AccountToken("agent")}
		if method == "secret" {
			files["client_id"], files["client_secret"] = bySecret, w.hallpass.Secret(bySecret)
		}
		for name, content := range files {
			w.write(t, filepath.Join("mounted", name), content)
		}
		call := exec.CommandContext(t.Context(), program(t, "agent"))
		call.Env = append(os.Environ(), "MCP_URL="+w.resource, "HALLPASS_DIR="+filepath.Join(w.dir, "mounted"))
		return call
	}
}

// building has one test at a time build.
var building sync.Mutex

// program is a program of docs/mcp, built once for all tests.
func program(t *testing.T, name string) string {
	t.Helper()
	building.Lock()
	defer building.Unlock()
	path := filepath.Join(programs, name)
	if _, err := os.Stat(path); err == nil {
		return path
	}
	build := exec.CommandContext(t.Context(), "go", "build", "-o", path, "./"+name)
	build.Dir = filepath.Join(root, "docs/mcp")
	if output, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build docs/mcp/%s: %v: %s", name, err, output)
	}
	return path
}

// programs is where the programs of docs/mcp are built.
var programs string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "mcp-")
	if err != nil {
		panic(err)
	}
	programs = dir
	code := m.Run()
	_ = os.RemoveAll(dir)
	os.Exit(code)
}

// begin starts a program, which runs until the test ends.
func begin(t *testing.T, name string, program *exec.Cmd) {
	t.Helper()
	var output strings.Builder
	program.Stdout, program.Stderr = &output, &output
	// nginx ends its workers, which a killed one leaves
	program.Cancel = func() error { return program.Process.Signal(syscall.SIGTERM) }
	program.WaitDelay = time.Minute
	world.Must(t, program.Start())
	t.Cleanup(func() { // the context of the test has ended
		_ = program.Wait()
		if t.Failed() {
			t.Logf("%s printed: %s", name, output.String())
		}
	})
}

// readBody reads the form of a request, and leaves it to be read again.
func readBody(r *http.Request) (url.Values, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	r.Body = io.NopCloser(strings.NewReader(string(body)))
	return url.ParseQuery(string(body))
}
