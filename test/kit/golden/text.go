// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package golden

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Volatile is what differs from run to run, and the text that stands for it.
type Volatile struct {
	Pattern *regexp.Regexp
	Text    string
}

// Text compares what people read, such as a transcript, with a file in testdata, which go test
// -update writes. What is volatile is replaced first.
func Text(t testing.TB, name, got string, volatile []Volatile) {
	t.Helper()
	for _, v := range volatile {
		got = v.Pattern.ReplaceAllString(got, v.Text)
	}
	file := filepath.Join("testdata", name)
	const readable fs.FileMode = 0o644
	if *update {
		if err := os.WriteFile(file, []byte(got), readable); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s differs from what is printed (-want +got); go test -update writes it:\n%s", file, diff)
	}
}
