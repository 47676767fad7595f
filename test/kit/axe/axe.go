// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

// Package axe has axe-core, which checks pages in a browser for people who cannot see or point.
package axe

import (
	"crypto/sha256"
	"embed"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

//go:embed package.json package-lock.json
var pinned embed.FS

// Source is the source of axe-core, which npm installs once into the user's cache.
func Source(t testing.TB) string {
	t.Helper()
	cache, err := os.UserCacheDir()
	must(t, err)
	sum := sha256.New()
	for _, file := range []string{"package.json", "package-lock.json"} {
		text, err := pinned.ReadFile(file)
		must(t, err)
		sum.Write(text)
	}
	dir := filepath.Join(cache, "hallpass", "tools", fmt.Sprintf("axe-%x", sum.Sum(nil)[:6]))
	script := filepath.Join(dir, "node_modules", "axe-core", "axe.min.js")
	if _, err := os.Stat(script); err != nil {
		if _, err := exec.LookPath("npm"); err != nil {
			// in Debian it is 400 packages; Node comes with npm
			t.Skip("NOT RUN: npm is not installed")
		}
		must(t, os.CopyFS(dir, pinned))
		install := exec.CommandContext(t.Context(), "npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--prefer-offline")
		install.Dir = dir
		if output, err := install.CombinedOutput(); err != nil {
			if os.Getenv("CI") != "" {
				t.Fatalf("axe-core is not installed: %v: %s", err, output)
			}
			t.Skipf("axe-core is not installed: %v: %s", err, output)
		}
	}
	source, err := os.ReadFile(script)
	must(t, err)
	return string(source)
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
