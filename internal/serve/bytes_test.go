// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package serve

import (
	"testing"
)

func TestBytesAreReadAndWrittenAsKubernetesWritesThem(t *testing.T) {
	for text, want := range map[string]Bytes{"11.25Mi": 45 << 18, "64Ki": 64 << 10, "2Mi": 2 << 20, "0.5Ki": 512, "512Mi": 512 << 20} {
		var read Bytes
		if err := read.Set(text); err != nil || read != want || want.String() != text {
			t.Errorf("%s is read as %d and written as %s: %v", text, read, want, err)
		}
	}
	for text, want := range map[string]Bytes{"1Gi": 1 << 30, "4096": 4096} {
		var read Bytes
		if err := read.Set(text); err != nil || read != want {
			t.Errorf("%s is read as %d: %v", text, read, err)
		}
	}
	for _, text := range []string{"", "many", "22.5MiB", "-1Mi", "0.3", "1Zi", "2M", "1e3Mi", "0x1Mi", "InfMi", "NaN", "9999999999Gi"} {
		if read := Bytes(7); read.Set(text) == nil || read != 7 {
			t.Errorf("%q is accepted as %d", text, read)
		}
	}
}
