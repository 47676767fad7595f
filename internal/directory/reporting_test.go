// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package directory

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
)

func TestAProcessThatNobodyHasHeardOfLeavesNoSnapshot(t *testing.T) {
	file := filepath.Join(t.TempDir(), "snapshot")
	f := newFixture(t, file)
	f.fill(t)
	reporting := false
	f.snapshots.reporting = func() bool { return reporting }
	written := func() bool {
		t.Helper()
		if _, err := f.snapshots.save(); err != nil {
			t.Fatal(err)
		}
		_, err := os.Stat(file)
		return !errors.Is(err, os.ErrNotExist)
	}
	if written() {
		t.Error("there is a snapshot of a process that has no report")
	}
	if reporting = true; !written() {
		t.Error("there is none of one that has")
	}
	for range 2 { // what is not there needs no dropping
		if err := f.DropSnapshot(); err != nil {
			t.Error(err)
		}
	}
	if _, err := os.Stat(file); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the snapshot was dropped, and is there: %v", err)
	}
}
