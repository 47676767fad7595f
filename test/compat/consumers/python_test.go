// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package consumers_test

import (
	"crypto/sha256"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// python is an interpreter with the packages of a documented file, which are installed once for
// this machine. It fails where CI runs and skips elsewhere if they cannot be.
func python(t *testing.T, requirements string) (interpreter string) {
	t.Helper()
	content, err := os.ReadFile(requirements)
	must(t, err)
	cache, err := os.UserCacheDir()
	must(t, err)
	dir := filepath.Join(cache, "hallpass", "tools", fmt.Sprintf("consumers-%x", sha256.Sum256(content))[:24])
	interpreter = filepath.Join(dir, "bin", "python")
	ready := filepath.Join(dir, "ready")
	if _, err := os.Stat(ready); err == nil {
		return interpreter
	}
	must(t, os.RemoveAll(dir))
	for _, command := range [][]string{
		{installed(t, "python3"), "-m", "venv", dir},
		{interpreter, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--requirement", requirements},
	} {
		if printed, err := exec.CommandContext(t.Context(), command[0], command[1:]...).CombinedOutput(); err != nil {
			if os.Getenv("CI") != "" {
				t.Fatalf("install %s: %v: %s", requirements, err, printed)
			}
			t.Skipf("%s cannot be installed: %v: %s", requirements, err, printed)
		}
	}
	must(t, os.WriteFile(ready, nil, 0o600))
	return interpreter
}
