// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package node_test

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// process is what the kernel reports of one.
type process struct {
	name   string
	status map[string]string
	// root is how the process sees its root.
	root string
}

// processes are all in the test's namespaces and below, those of the containers among them.
func processes(t *testing.T) []process {
	t.Helper()
	paths, err := filepath.Glob("/proc/[0-9]*/cmdline")
	must(t, err)
	var all []process
	for _, path := range paths {
		line, _ := os.ReadFile(path)
		status, _ := os.ReadFile(filepath.Join(filepath.Dir(path), "status"))
		mounts, err := os.ReadFile(filepath.Join(filepath.Dir(path), "mountinfo"))
		if err != nil || len(line) == 0 {
			continue // it has ended
		}
		args := strings.Split(strings.TrimSuffix(string(line), "\x00"), "\x00")
		p := process{name: args[0], status: map[string]string{}}
		if p.name == "/app" && len(args) > 1 {
			p.name += " " + args[1]
		}
		for line := range strings.Lines(string(status)) {
			key, value, _ := strings.Cut(line, ":")
			p.status[key] = strings.Join(strings.Fields(value), " ")
		}
		for line := range strings.Lines(string(mounts)) {
			if fields := strings.Fields(line); len(fields) > 5 && fields[4] == "/" {
				p.root = fields[5]
			}
		}
		all = append(all, p)
	}
	return all
}

// checkConfinement checks the processes themselves, whatever their Pods request.
func checkConfinement(t *testing.T, wanted map[string]int) {
	t.Helper()
	found := map[string]int{}
	for _, p := range processes(t) {
		if _, ours := wanted[p.name]; !ours {
			continue
		}
		found[p.name]++
		for key, want := range map[string]string{
			"Uid": "65532 65532 65532 65532", "Gid": "65532 65532 65532 65532", "NoNewPrivs": "1", "Seccomp": "2",
			"CapEff": "0000000000000000", "CapPrm": "0000000000000000", "CapBnd": "0000000000000000",
		} {
			if p.status[key] != want {
				t.Errorf("%s of %s is %q, want %q", key, p.name, p.status[key], want)
			}
		}
		if !slices.Contains(strings.Split(p.root, ","), "ro") {
			t.Errorf("the root of %s is mounted %s", p.name, p.root)
		}
	}
	for name, count := range wanted {
		if found[name] != count {
			t.Errorf("%d processes %s, want %d", found[name], name, count)
		}
	}
}

// reportMemory prints what each program holds in memory.
func reportMemory(t *testing.T) {
	t.Helper()
	kilobytes, total := map[string]int{}, 0
	for _, p := range processes(t) {
		held, _ := strconv.Atoi(strings.TrimSuffix(p.status["VmRSS"], " kB"))
		kilobytes[filepath.Base(p.name)] += held
		total += held
	}
	names := make([]string, 0, len(kilobytes))
	for name := range kilobytes {
		names = append(names, name)
	}
	slices.SortFunc(names, func(a, b string) int { return cmp.Compare(kilobytes[b], kilobytes[a]) })
	var line strings.Builder
	for _, name := range names[:min(len(names), 12)] {
		fmt.Fprintf(&line, " %s %d", name, kilobytes[name]/1024)
	}
	say("resident MiB, what is shared counted each time:%s; all %d", line.String(), total/1024)
}
