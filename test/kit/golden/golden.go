// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

// Package golden compares output with files that commit 37318f4 wrote, and loads these files for
// tests that read them.
//
// testdata/37318f4 never changes: a new build must read what is stored in clusters. If a format
// changes deliberately, go test -update writes the new output to a file of the same name in
// testdata/written, and the commit message has the reason. The keys and secrets in the files were
// generated for the tests.
package golden

import (
	"bytes"
	"flag"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const (
	baseline = "testdata/37318f4"
	written  = "testdata/written"
)

var update = flag.Bool("update", false, "write output that differs from testdata/37318f4 to testdata/written") //nolint:gochecknoglobals // a flag

// Stored reads a file that commit 37318f4 wrote.
func Stored(t testing.TB, name string) []byte {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(baseline, name))
	if err != nil {
		t.Fatal(err)
	}
	return content
}

// StoredData reads the data of a Secret that commit 37318f4 wrote: a directory with one file per
// entry. Of a form that this commit does not have, it reads what is in testdata/written.
func StoredData(t testing.TB, dir string) map[string][]byte {
	t.Helper()
	from := baseline
	entries, err := os.ReadDir(filepath.Join(from, dir))
	if os.IsNotExist(err) { // commit 37318f4 does not have the format
		from = written
		entries, err = os.ReadDir(filepath.Join(from, dir))
	}
	if err != nil {
		t.Fatal(err)
	}
	data := map[string][]byte{}
	for _, entry := range entries {
		if data[entry.Name()], err = os.ReadFile(filepath.Join(from, dir, entry.Name())); err != nil {
			t.Fatal(err)
		}
	}
	return data
}

// Compare fails the test if got differs from the file.
func Compare(t testing.TB, name string, got []byte) {
	t.Helper()
	if *update {
		record(t, name, got)
	}
	want, err := os.ReadFile(filepath.Join(written, name))
	if err != nil {
		want, err = os.ReadFile(filepath.Join(baseline, name))
	}
	if err != nil {
		t.Fatalf("no golden file %s; go test -update writes it: %v", name, err)
	}
	if bytes.Equal(want, got) {
		return
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s differs from the golden file. If the change is deliberate, run go test -update and say why in the "+
			"commit message (-want +got):\n%s", name, diff)
	}
}

// CompareData compares the data of a Secret with a directory.
func CompareData(t testing.TB, dir string, got map[string][]byte) {
	t.Helper()
	for _, name := range slices.Sorted(maps.Keys(got)) {
		Compare(t, filepath.Join(dir, name), got[name])
	}
	stored, err := os.ReadDir(filepath.Join(baseline, dir))
	if err != nil && !os.IsNotExist(err) { // commit 37318f4 may not have the format
		t.Fatal(err)
	}
	for _, entry := range stored {
		if _, ok := got[entry.Name()]; !ok {
			t.Errorf("entry %s/%s is missing", dir, entry.Name())
		}
	}
}

// record writes output that differs from the baseline, and removes the file of output that does
// not.
func record(t testing.TB, name string, got []byte) {
	t.Helper()
	file := filepath.Join(written, name)
	before, err := os.ReadFile(filepath.Join(baseline, name))
	if err == nil && bytes.Equal(before, got) {
		if err := os.Remove(file); err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
		return
	}
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	const readable, searchable fs.FileMode = 0o644, 0o755
	if err := os.MkdirAll(filepath.Dir(file), searchable); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, got, readable); err != nil {
		t.Fatal(err)
	}
}
