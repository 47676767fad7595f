// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import "testing"

func TestEachValueGetsARow(t *testing.T) {
	values := "# Head of the file.\n\n# URL of the issuer,\n# or nothing.\nissuer: \"\"\n# Images.\nimage:\n  # The tag | version.\n  tag: v1\n"
	want := "| `issuer` | `\"\"` | URL of the issuer, or nothing. |\n| `image.tag` | `v1` | The tag \\| version. |\n"
	if got, err := valueRows(values); err != nil || got != want {
		t.Errorf("got %q, %v, want %q", got, err, want)
	}
}

func TestAValueWithoutACommentIsRefused(t *testing.T) {
	if _, err := valueRows("# Commented.\na: 1\nb: 2\n"); err == nil {
		t.Error("b has no comment, and there is no error")
	}
}
