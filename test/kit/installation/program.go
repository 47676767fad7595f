// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package installation

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
)

// Program builds a binary of cmd, such as tokenserver, and returns its path, which is absolute.
// Every test takes the one in bin/tests: if it is current, nothing is linked. A version makes a
// build of its own.
func Program(ctx context.Context, root, name string, version ...string) (path string, err error) {
	dir, err := filepath.Abs(filepath.Join(root, "bin", "tests"))
	if err != nil {
		return "", fmt.Errorf("find the repository: %w", err)
	}
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return "", fmt.Errorf("make a directory for programs: %w", err)
	}
	lock, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return "", fmt.Errorf("open the lock of programs: %w", err)
	}
	defer func() { err = errors.Join(err, lock.Close()) }()
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		return "", fmt.Errorf("lock programs: %w", err)
	}
	path = filepath.Join(dir, strings.Join(append([]string{name}, version...), "-"))
	args := []string{"build", "-trimpath"}
	if len(version) > 0 {
		args = append(args, "-ldflags=-X main.version="+version[0])
	}
	build := exec.CommandContext(ctx, "go", append(args, "-o", path, "./cmd/"+name)...)
	build.Dir, build.Env = root, append(os.Environ(), "CGO_ENABLED=0")
	if output, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build %s: %w: %s", name, err, output)
	}
	return path, nil
}

// gomemlimit finds the limit in a deployment.
var gomemlimit = regexp.MustCompile(`GOMEMLIMIT, value: (\w+)`)

// MemoryLimit returns the GOMEMLIMIT of a binary, such as tokenserver, as an entry of its
// environment. It is that of its deployment in config.
func MemoryLimit(root, name string) (string, error) {
	deployment, err := os.ReadFile(filepath.Join(root, "config", name, "deployment.yaml"))
	if err != nil {
		return "", fmt.Errorf("read the deployment: %w", err)
	}
	found := gomemlimit.FindSubmatch(deployment)
	if found == nil {
		return "", fmt.Errorf("the deployment of %s sets no GOMEMLIMIT", name)
	}
	return "GOMEMLIMIT=" + string(found[1]), nil
}
