// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package packages

import (
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/hallpass-dev/hallpass/test/kit/world"
)

// suiteNode is the Node that the conformance suite needs.
const suiteNode = 22

// Conformance is the conformance suite of the Model Context Protocol, with the Node of this machine
// or with one of its own.
func Conformance(t testing.TB, arguments ...string) *exec.Cmd {
	t.Helper()
	version := NodeVersion(t)
	if version == 0 {
		t.Skip("NOT RUN: Node is not installed, which npm needs")
	}
	program, options := "node", []string{"--omit=optional"}
	if version < suiteNode {
		program, options = "", nil
	}
	dir := NPM(t, "test/compat/mcp/conformance", options...)
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
