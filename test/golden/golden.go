// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

// Package golden compares what this build writes with files that commit 37318f4 wrote, and gives those files to tests that
// read them.
//
// testdata/37318f4 is never written again: whatever is changed, a build must read what is stored in clusters. A form that is
// changed deliberately gets a file of the same name under testdata/written, which go test -update writes; the commit that adds
// it says why.
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

var update = flag.Bool("update", false, "write what differs from testdata/37318f4 to testdata/written") //nolint:gochecknoglobals // a flag

// Stored is a file that commit 37318f4 wrote.
func Stored(t testing.TB, name string) []byte {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(baseline, name))
	if err != nil {
		t.Fatal(err)
	}
	return content
}

// StoredData is the data of a Secret that commit 37318f4 wrote: the files of a directory by their names.
func StoredData(t testing.TB, dir string) map[string][]byte {
	t.Helper()
	entries, err := os.ReadDir(filepath.Join(baseline, dir))
	if err != nil {
		t.Fatal(err)
	}
	data := map[string][]byte{}
	for _, entry := range entries {
		data[entry.Name()] = Stored(t, filepath.Join(dir, entry.Name()))
	}
	return data
}

// Compare fails the test if got is not what the file of that name holds.
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
		t.Fatalf("there is nothing to compare with; go test -update records %s: %v", name, err)
	}
	if bytes.Equal(want, got) {
		return
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s is written in another form than before. If that is the purpose of the change, go test -update records it, "+
			"and the commit says why (-want +got):\n%s", name, diff)
	}
}

// CompareData compares the data of a Secret with the files of a directory.
func CompareData(t testing.TB, dir string, got map[string][]byte) {
	t.Helper()
	for _, name := range slices.Sorted(maps.Keys(got)) {
		Compare(t, filepath.Join(dir, name), got[name])
	}
	stored, err := os.ReadDir(filepath.Join(baseline, dir))
	if err != nil && !os.IsNotExist(err) { // it may be a form that commit 37318f4 does not have
		t.Fatal(err)
	}
	for _, entry := range stored {
		if _, ok := got[entry.Name()]; !ok {
			t.Errorf("%s/%s is written no more", dir, entry.Name())
		}
	}
}

// record keeps what differs from the baseline, and nothing else.
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
