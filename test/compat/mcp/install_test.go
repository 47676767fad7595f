// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package mcp_test

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/hallpass-dev/hallpass/test/kit/world"
)

// missing fails where CI runs and skips elsewhere.
func missing(t *testing.T, what string) {
	t.Helper()
	if os.Getenv("CI") != "" {
		t.Fatal(what + " is not installed")
	}
	t.Skip(what + " is not installed")
}

// versions are the versions of the SDKs, by the files that install them.
func versions(t *testing.T) map[string]string {
	t.Helper()
	var npm struct {
		Dependencies map[string]string `json:"dependencies"`
	}
	world.Must(t, json.Unmarshal([]byte(read(t, "test/compat/mcp/node/package.json")), &npm))
	found := npm.Dependencies
	for name, in := range map[string][2]string{
		"mcp 1":  {"test/compat/mcp/python/requirements-1.txt", `(?m)^mcp==(\S+)$`},
		"mcp 2":  {"test/compat/mcp/python/requirements-2.txt", `(?m)^mcp==(\S+)$`},
		"go-sdk": {"docs/mcp/go.mod", `modelcontextprotocol/go-sdk v(\S+)`},
	} {
		version := regexp.MustCompile(in[1]).FindStringSubmatch(read(t, in[0]))
		if version == nil {
			t.Fatalf("%s has no version of %s", in[0], name)
		}
		found[name] = version[1]
	}
	return found
}

// installed runs install once for a directory of the user's cache that is named by the files that
// list what to install, and returns the directory. A later run of the tests finds it there.
func installed(t *testing.T, name string, files []string, install func(dir string) *exec.Cmd) (string, error) {
	t.Helper()
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	sum := sha256.New()
	for _, file := range files {
		sum.Write([]byte(read(t, file)))
	}
	dir := filepath.Join(cache, "hallpass", "tools", fmt.Sprintf("mcp-%s-%x", name, sum.Sum(nil)[:6]))
	ready := filepath.Join(dir, "ready")
	if _, err := os.Stat(ready); err == nil {
		return dir, nil
	}
	world.Must(t, os.RemoveAll(dir))
	world.Must(t, os.MkdirAll(dir, 0o755))
	for _, file := range files {
		world.Must(t, os.WriteFile(filepath.Join(dir, filepath.Base(file)), []byte(read(t, file)), 0o600))
	}
	if output, err := install(dir).CombinedOutput(); err != nil {
		return "", fmt.Errorf("%w: %s", err, output)
	}
	return dir, os.WriteFile(ready, nil, 0o600)
}

// The SDKs are installed by one test at a time, and once.
var installing, building sync.Mutex

// leastNode is the Node that the SDKs need, and suiteNode the one that the conformance suite needs.
const (
	leastNode = 20
	suiteNode = 22
)

// nodeVersion is the major version of the Node of this machine; zero if there is none.
func nodeVersion(t *testing.T) int {
	t.Helper()
	version, err := exec.CommandContext(t.Context(), "node", "--version").Output()
	if err != nil {
		return 0
	}
	major, _, _ := strings.Cut(strings.TrimPrefix(string(version), "v"), ".")
	number, err := strconv.Atoi(major)
	world.Must(t, err)
	return number
}

// npm installs what the lock file of a folder has, and returns where.
func npm(t *testing.T, folder string, programs []string, options ...string) string {
	t.Helper()
	if _, err := exec.LookPath("npm"); err != nil {
		// in Debian it is 400 packages; Node comes with npm
		t.Skip("NOT RUN: npm is not installed")
	}
	installing.Lock()
	defer installing.Unlock()
	var files []string
	for _, file := range append([]string{"package.json", "package-lock.json"}, programs...) {
		files = append(files, filepath.Join("test/compat/mcp", folder, file))
	}
	dir, err := installed(t, folder, files, func(dir string) *exec.Cmd {
		ci := exec.CommandContext(t.Context(), "npm", append([]string{"ci", "--ignore-scripts", "--no-audit", "--no-fund", "--prefer-offline"}, options...)...)
		ci.Dir = dir
		return ci
	})
	if err != nil {
		t.Logf("npm ci: %v", err)
		missing(t, "what "+folder+"/package.json lists")
	}
	return dir
}

// conformance is the suite, with the Node of this machine or with one of its own.
func conformance(t *testing.T, arguments ...string) *exec.Cmd {
	t.Helper()
	version := nodeVersion(t)
	if version == 0 {
		t.Skip("NOT RUN: Node is not installed, which npm needs")
	}
	program, options := "node", []string{"--omit=optional"}
	if version < suiteNode {
		program, options = "", nil
	}
	dir := npm(t, "conformance", nil, options...)
	if program == "" {
		found, err := filepath.Glob(filepath.Join(dir, "node_modules", "node-linux-*", "bin", "node"))
		world.Must(t, err)
		if len(found) == 0 {
			t.Skipf("NOT RUN: the suite needs Node %d or later, and npm has none for this machine", suiteNode)
		}
		program = found[0]
	}
	suite := filepath.Join(dir, "node_modules", "@modelcontextprotocol", "conformance", "dist", "index.js")
	return exec.CommandContext(t.Context(), program, append([]string{suite}, arguments...)...)
}

// node runs call.mjs beside the SDKs, which npm installs by the lock file.
func node(major, method string) func(t *testing.T, w *scene) *exec.Cmd {
	return func(t *testing.T, w *scene) *exec.Cmd {
		t.Helper()
		if version := nodeVersion(t); version < leastNode {
			t.Skipf("NOT RUN: the SDKs need Node %d or later, and this is %d", leastNode, version)
		}
		dir := npm(t, "node", []string{"call.mjs", "login.mjs", "openid.mjs"})
		call := exec.CommandContext(t.Context(), "node", "call.mjs", major, method)
		call.Dir, call.Env = dir, append(w.environment(clients[method]), "NODE_EXTRA_CA_CERTS="+w.caFile)
		return call
	}
}

// python runs call.py in an environment of its own, into which pip installs the SDK.
func python(major, method string) func(t *testing.T, w *scene) *exec.Cmd {
	return func(t *testing.T, w *scene) *exec.Cmd {
		t.Helper()
		interpreter, err := exec.LookPath("python3")
		if err != nil {
			t.Skip("NOT RUN: python3 is not installed")
		}
		if err := exec.CommandContext(t.Context(), interpreter, "-c", "import sys, ensurepip; sys.exit(sys.version_info < (3, 10))").Run(); err != nil {
			t.Skip("NOT RUN: the SDK needs Python 3.10 or later with venv")
		}
		installing.Lock()
		defer installing.Unlock()
		requirements := "requirements-" + major + ".txt"
		files := []string{"test/compat/mcp/python/" + requirements, "test/compat/mcp/python/call.py"}
		dir, err := installed(t, "python"+major, files, func(dir string) *exec.Cmd {
			return exec.CommandContext(t.Context(), "sh", "-ec",
				`"$1" -m venv "$2/env" && "$2/env/bin/pip" install --quiet --disable-pip-version-check --requirement "$2/$3"`, "sh", interpreter, dir, requirements)
		})
		if err != nil {
			t.Logf("pip install: %v", err)
			missing(t, "the Python SDK")
		}
		call := exec.CommandContext(t.Context(), filepath.Join(dir, "env", "bin", "python"), filepath.Join(dir, "call.py"), method)
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
