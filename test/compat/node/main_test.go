// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

// Package node_test installs Hallpass on a real node, as a user would, and checks what only a node
// shows: Pods, their volumes and rights, names and Services, and what restarts do. `make e2e-node`
// runs it; docs/real-node.md lists what it needs.
//
// Everything runs in namespaces of the kernel that the test makes, without a network to anywhere.
// The end of their first process is the end of all that was started.
package node_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/hallpass-dev/hallpass/test/kit/controlplane"
)

// The environment sets whether to run the test, and what was prepared for it outside.
const (
	wanted   = "HALLPASS_NODE"
	prepared = "HALLPASS_NODE_PREPARED"
)

func TestMain(m *testing.M) {
	if os.Getenv(wanted) == "" || os.Getenv(prepared) != "" {
		os.Exit(m.Run())
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	err := outside(ctx)
	stop()
	var ended *exec.ExitError
	switch {
	case errors.As(err, &ended):
		os.Exit(1)
	case err != nil:
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func say(format string, args ...any) {
	fmt.Printf("%s --- %s\n", time.Now().Format(time.TimeOnly), fmt.Sprintf(format, args...))
}

// initialise is the first process in the namespaces: it gives them a loopback and the node's
// address, runs the test, and reaps.
const initialise = `set -e
ip link set lo up
ip address add ` + nodeAddress + `/32 dev lo
echo 1 >/proc/sys/net/ipv4/ip_forward
echo 1 >/proc/sys/net/bridge/bridge-nf-call-iptables
set +e
"$@"
exit $?`

// outside prepares everything that takes a network or the compiler, and runs the test again in
// namespaces of its own.
func outside(ctx context.Context) error {
	if err := checkMachine(); err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "hallpass-node-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	defer func() { _ = removeCgroups(filepath.Base(dir)) }()
	if err := prepare(ctx, dir); err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	command := exec.CommandContext(ctx, "unshare", append([]string{
		"--net", "--mount", "--pid", "--fork", "--kill-child", "--ipc", "--uts", "--mount-proc", "--propagation=private",
		"/bin/sh", "-c", initialise, "init", self,
	}, os.Args[1:]...)...)
	command.Env = append(os.Environ(), prepared+"="+dir)
	command.Stdout, command.Stderr = os.Stdout, os.Stderr
	return command.Run()
}

// checkMachine reports what is missing, all of it at once.
func checkMachine() error {
	var missing []string
	if os.Geteuid() != 0 {
		missing = append(missing, "the rights of root")
	}
	for _, name := range []string{"unshare", "ip", "nft", "runc", "mount", "tar"} {
		if _, err := exec.LookPath(name); err != nil {
			missing = append(missing, name)
		}
	}
	if _, err := os.Stat("/proc/sys/net/bridge/bridge-nf-call-iptables"); err != nil {
		missing = append(missing, "the kernel's module br_netfilter")
	}
	if len(missing) > 0 {
		return fmt.Errorf("a node takes %s", strings.Join(missing, ", "))
	}
	return nil
}

// prepare fills a directory: programs of the node, helm, and images.
func prepare(ctx context.Context, dir string) error {
	say("programs of the control plane")
	if _, err := controlplane.FindAssets(ctx, os.Stderr); err != nil {
		return err
	}
	say("helm")
	command := exec.CommandContext(ctx, "make", "--silent", "helm")
	command.Dir, command.Stderr = root, os.Stderr
	command.Env = append(os.Environ(), "MAKEFLAGS=", "GOFLAGS=")
	helm, err := command.Output()
	if err != nil {
		return fmt.Errorf("build helm: %w", err)
	}
	if err := os.Symlink(strings.TrimSpace(string(helm)), filepath.Join(dir, "helm")); err != nil {
		return err
	}
	say("programs of the node")
	if err := buildPrograms(ctx, dir); err != nil {
		return err
	}
	say("images")
	return buildImages(ctx, dir)
}

// removeCgroups removes the groups of what has ended, the innermost first.
func removeCgroups(name string) error {
	roots, err := filepath.Glob("/sys/fs/cgroup/*/" + name)
	if err != nil {
		return err
	}
	for _, group := range append(roots, "/sys/fs/cgroup/"+name) {
		command := exec.CommandContext(context.Background(), "find", group, "-depth", "-type", "d", "-exec", "rmdir", "{}", ";")
		_ = command.Run() // what was never made is not there
	}
	return nil
}
