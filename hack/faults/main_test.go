// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"strings"
	"testing"
)

// TestEachFaultCanBePutBack: the code has what is replaced, and the page has the fault.
func TestEachFaultCanBePutBack(t *testing.T) {
	const root = "../.."
	page, err := os.ReadFile(root + "/docs/robustness.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range faults {
		if _, err := f.overlay(root, t.TempDir()); err != nil {
			t.Errorf("%s: %v", f.name, err)
		}
		if !strings.Contains(string(page), "\n| "+f.name+" | ") {
			t.Errorf("docs/robustness.md has no row about: %s", f.name)
		}
	}
}
