// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

// Command faults is make faults: it puts each fault of a list back into the code, one by one, and
// replays random histories of the client reconciler until one of them finds it, or runs the test
// that does, as for the faults of the other controllers. It fails for a fault that none finds.
// Nothing in the tree changes: the compiler reads the edited files in the place of those that are
// there.
package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

func main() {
	only := flag.String("only", "", "a regular expression that the names of the faults have to match")
	most := flag.Int("most", 3000, "how many histories may pass before a fault counts as not found")
	steps := flag.Int("steps", 60, "the steps of a history")
	flag.Parse()
	if err := run(context.Background(), *only, *most, *steps); err != nil {
		fmt.Fprintln(os.Stderr, "faults:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, only string, most, steps int) error {
	wanted, err := regexp.Compile(only)
	if err != nil {
		return fmt.Errorf("read -only: %w", err)
	}
	root, err := os.Getwd()
	if err != nil {
		return fmt.Errorf("find the repository: %w", err)
	}
	dir, err := os.MkdirTemp("", "faults")
	if err != nil {
		return fmt.Errorf("make a directory for the edited files: %w", err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	var missed []error
	for _, f := range faults {
		if !wanted.MatchString(f.name) {
			continue
		}
		how, err := f.find(ctx, root, dir, most, steps)
		if err != nil {
			missed = append(missed, fmt.Errorf("%s: %w", f.name, err))
			how = "NOT FOUND: " + err.Error()
		}
		fmt.Printf("%s: %s\n", f.name, how)
	}
	return errors.Join(missed...)
}

// batch is how many histories one process replays.
const batch = 50

var errNotFound = errors.New("no history found it")

// find replays histories with the fault until one finds it, and returns its message.
func (f fault) find(ctx context.Context, root, dir string, most, steps int) (string, error) {
	overlay, err := f.overlay(root, dir)
	if err != nil {
		return "", err
	}
	room, test := path.Split(cmp.Or(f.test, client))
	binary := filepath.Join(dir, "fault.test")
	build := exec.CommandContext(ctx, "go", "test", "-c", "-vet=off", "-ldflags", "-s -w", "-overlay", overlay, "-o", binary, "./"+room)
	build.Dir = root
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build it: %w: %s", err, out)
	}
	if test != "" {
		run := exec.CommandContext(ctx, binary, "-test.run", "^"+test+"$")
		run.Dir = filepath.Join(root, room)
		if run.Run() == nil {
			return "", fmt.Errorf("%w, and %s passes", errNotFound, test)
		}
		return "found by " + test, nil
	}
	var others []string
	for seed := 1; seed <= most; seed += batch {
		replay := exec.CommandContext(ctx, binary, "-test.run", "TestRandomHistoriesOfAClientEndWell", "-test.timeout", "1h")
		replay.Dir = filepath.Join(root, client)
		replay.Env = append(os.Environ(),
			fmt.Sprintf("HALLPASS_SEED=%d", seed), fmt.Sprintf("HALLPASS_HISTORIES=%d", batch), fmt.Sprintf("HALLPASS_HISTORY_STEPS=%d", steps))
		out, err := replay.CombinedOutput()
		if err == nil {
			continue
		}
		said := failures(string(out))
		for _, line := range said {
			if slices.ContainsFunc(f.found, func(part string) bool { return strings.Contains(line, part) }) {
				return fmt.Sprintf("found by the first %d histories: %s", seed+batch-1, line), nil
			}
		}
		others = append(others, said...)
	}
	if len(others) > 0 {
		return "", fmt.Errorf("%w by its invariant, but another reports %q", errNotFound, others[0])
	}
	return "", errNotFound
}

var failure = regexp.MustCompile(`(?m)^ +history(?:_\w+)?_test\.go:\d+: (.*)$`)

// failures are the invariants that did not hold, without what had happened.
func failures(out string) (lines []string) {
	for _, match := range failure.FindAllStringSubmatch(out, -1) {
		if !strings.HasPrefix(match[1], "what happened") {
			lines = append(lines, match[1][:min(len(match[1]), 160)])
		}
	}
	return lines
}

// overlay writes the edited files, and what names them to the compiler.
func (f fault) overlay(root, dir string) (string, error) {
	edited := map[string]string{}
	for _, e := range f.edits {
		text, there := edited[e.file]
		if !there {
			original, err := os.ReadFile(filepath.Join(root, e.file))
			if err != nil {
				return "", fmt.Errorf("read what is edited: %w", err)
			}
			text = string(original)
		}
		if count := strings.Count(text, e.old); count != 1 {
			return "", fmt.Errorf("%s has %d times what is replaced, not once: %s", e.file, count, e.old)
		}
		edited[e.file] = strings.Replace(text, e.old, e.with, 1)
	}
	overlay := struct {
		Replace map[string]string `json:"Replace"`
	}{map[string]string{}}
	for file, text := range edited {
		name := filepath.Join(dir, strings.ReplaceAll(file, "/", "-"))
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			return "", fmt.Errorf("write an edited file: %w", err)
		}
		overlay.Replace[filepath.Join(root, file)] = name
	}
	text, err := json.Marshal(overlay)
	if err != nil {
		return "", fmt.Errorf("write the names of the edited files: %w", err)
	}
	name := filepath.Join(dir, "overlay.json")
	if err := os.WriteFile(name, text, 0o600); err != nil {
		return "", fmt.Errorf("write the names of the edited files: %w", err)
	}
	return name, nil
}
