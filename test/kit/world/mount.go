// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package world

import (
	"os"
	"path/filepath"
	"testing"
)

// Mount writes the entries of a Secret into a directory. Like the kubelet it replaces all files at
// once, and a file that is there already is a link to the newest version.
func Mount[T ~string | ~[]byte](t testing.TB, dir string, entries map[string]T) {
	t.Helper()
	data, err := os.MkdirTemp(dir, "..data-") //nolint:usetesting // beside the links, as the kubelet makes it
	Must(t, err)
	for name, content := range entries {
		Must(t, os.WriteFile(filepath.Join(data, name), []byte(content), 0o600))
		if _, err := os.Lstat(filepath.Join(dir, name)); err != nil {
			Must(t, os.Symlink("..data/"+name, filepath.Join(dir, name)))
		}
	}
	next := filepath.Join(dir, "..next")
	Must(t, os.Symlink(filepath.Base(data), next))
	Must(t, os.Rename(next, filepath.Join(dir, "..data")))
}
