// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

// Package packages installs what npm and PyPI have for tests, by lock files of the repository, once
// for this machine.
package packages

import (
	"crypto/sha256"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/hallpass-dev/hallpass/test/kit/world"
)

// Missing fails where CI runs and skips elsewhere.
func Missing(t testing.TB, what string) {
	t.Helper()
	if os.Getenv("CI") != "" {
		t.Fatal(what + " is not installed")
	}
	t.Skip(what + " is not installed")
}

// NodeVersion is the major version of the Node of this machine; zero if there is none.
func NodeVersion(t testing.TB) int {
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

// NPM installs what the lock file of a folder of the repository has, and returns the directory with
// it, which has the programs of the folder too.
func NPM(t testing.TB, folder string, options ...string) (dir string) {
	t.Helper()
	if _, err := exec.LookPath("npm"); err != nil {
		// in Debian it is 400 packages; Node comes with npm
		t.Skip("NOT RUN: npm is not installed")
	}
	name := filepath.Base(filepath.Dir(folder)) + "-" + filepath.Base(folder)
	dir, err := install(t, name, folder, []string{"package.json", "package-lock.json"}, func(dir string) *exec.Cmd {
		ci := exec.CommandContext(t.Context(), "npm", append([]string{"ci", "--ignore-scripts", "--no-audit", "--no-fund", "--prefer-offline"}, options...)...)
		ci.Dir = dir
		return ci
	})
	if err != nil {
		t.Logf("npm ci: %v", err)
		Missing(t, "what "+folder+"/package.json lists")
	}
	// Node finds packages above the directory of a program
	programs, err := filepath.Glob(filepath.Join(root(t), folder, "*.mjs"))
	world.Must(t, err)
	for _, program := range programs {
		content, err := os.ReadFile(program)
		world.Must(t, err)
		partial, err := os.CreateTemp(dir, "program-")
		world.Must(t, err)
		_, err = partial.Write(content)
		world.Must(t, err)
		world.Must(t, partial.Close())
		world.Must(t, os.Rename(partial.Name(), filepath.Join(dir, filepath.Base(program))))
	}
	return dir
}

// Python installs what a file of requirements in a folder of the repository lists into an
// environment of its own, and returns the interpreter of that.
func Python(t testing.TB, folder, requirements string) (interpreter string) {
	t.Helper()
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Skip("NOT RUN: python3 is not installed")
	}
	if err := exec.CommandContext(t.Context(), python, "-c", "import sys, ensurepip; sys.exit(sys.version_info < (3, 10))").Run(); err != nil {
		t.Skip("NOT RUN: Python 3.10 or later with venv is not installed")
	}
	dir, err := install(t, filepath.Base(filepath.Dir(folder))+"-python", folder, []string{requirements}, func(dir string) *exec.Cmd {
		return exec.CommandContext(t.Context(), "sh", "-ec",
			`"$1" -m venv "$2/env" && "$2/env/bin/pip" install --quiet --disable-pip-version-check --requirement "$2/$3"`, "sh", python, dir, requirements)
	})
	if err != nil {
		t.Logf("pip install: %v", err)
		Missing(t, "what "+folder+"/"+requirements+" lists")
	}
	return filepath.Join(dir, "env", "bin", "python")
}

// install runs a command once for a directory of the user's cache that is named by the files that
// list what to install. Tests of several packages run at the same time.
func install(t testing.TB, name, folder string, files []string, command func(dir string) *exec.Cmd) (dir string, err error) {
	t.Helper()
	cache, err := os.UserCacheDir()
	world.Must(t, err)
	contents, sum := map[string][]byte{}, sha256.New()
	for _, file := range files {
		contents[file], err = os.ReadFile(filepath.Join(root(t), folder, file))
		world.Must(t, err)
		sum.Write(contents[file])
	}
	dir = filepath.Join(cache, "hallpass", "tools", fmt.Sprintf("%s-%x", name, sum.Sum(nil)[:6]))
	world.Must(t, os.MkdirAll(filepath.Dir(dir), 0o755))
	lock, err := os.OpenFile(dir+".lock", os.O_CREATE|os.O_RDWR, 0o600)
	world.Must(t, err)
	defer func() { world.Must(t, lock.Close()) }()
	world.Must(t, syscall.Flock(int(lock.Fd()), syscall.LOCK_EX))
	ready := filepath.Join(dir, "ready")
	if _, err := os.Stat(ready); err == nil {
		return dir, nil
	}
	world.Must(t, os.RemoveAll(dir))
	world.Must(t, os.MkdirAll(dir, 0o755))
	for file, content := range contents {
		world.Must(t, os.WriteFile(filepath.Join(dir, file), content, 0o600))
	}
	if output, err := command(dir).CombinedOutput(); err != nil {
		return "", fmt.Errorf("%w: %s", err, output)
	}
	return dir, os.WriteFile(ready, nil, 0o600)
}

func root(t testing.TB) string {
	t.Helper()
	path, err := world.Root()
	world.Must(t, err)
	return path
}
