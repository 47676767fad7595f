// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package main_test

import (
	"os/exec"
	"strings"
	"testing"
)

const module = "github.com/hallpass-dev/hallpass"

// imports are all packages that are linked into a program.
func imports(t *testing.T, program string) []string {
	t.Helper()
	list := exec.CommandContext(t.Context(), "go", "list", "-deps", module+"/cmd/"+program)
	output, err := list.Output()
	if err != nil {
		t.Fatalf("%v: %v", list.Args, err)
	}
	return strings.Fields(string(output))
}

// TestNoOtherProgramLinksWhatThePluginNeeds reads the import graph of each program.
func TestNoOtherProgramLinksWhatThePluginNeeds(t *testing.T) {
	of := func(program, prefix string) bool {
		for _, imported := range imports(t, program) {
			if imported == prefix || strings.HasPrefix(imported, prefix+"/") {
				return true
			}
		}
		return false
	}
	for _, library := range []string{"github.com/spf13/cobra", "k8s.io/cli-runtime", "sigs.k8s.io/kustomize", module + "/cmd/kubectl-hallpass"} {
		for _, program := range []string{"manager", "tokenserver", "login"} {
			if of(program, library) {
				t.Errorf("%s links %s", program, library)
			}
		}
		if !of("kubectl-hallpass", library) {
			t.Errorf("the plugin does not link %s; does this test still read the graph right?", library)
		}
	}
	for _, program := range []string{"manager", "tokenserver", "login", "kubectl-hallpass"} {
		if of(program, "github.com/chromedp") {
			t.Errorf("%s links the library that drives browsers in tests", program)
		}
	}
	for _, part := range []string{"controller", "tokenserver", "directory", "auth", "audit", "reporter", "extauthz"} {
		if of("kubectl-hallpass", module+"/internal/"+part) {
			t.Errorf("the plugin links internal/%s", part)
		}
	}
	if of("kubectl-hallpass", "sigs.k8s.io/controller-runtime") {
		t.Error("the plugin links controller-runtime")
	}
}
