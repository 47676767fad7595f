// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package serve

import (
	"runtime/debug"
	"testing"
)

func TestVersion(t *testing.T) {
	stamped := &debug.BuildInfo{Main: debug.Module{Version: "v0.1.1-0.20261129021631-b75d429aabbc"}}
	for name, c := range map[string]struct {
		linked string
		info   *debug.BuildInfo
		want   string
	}{
		"what the linker set":             {"v0.1.0", stamped, "v0.1.0"},
		"what the go command stamped":     {"", stamped, "v0.1.1-0.20261129021631-b75d429aabbc"},
		"a build outside of a repository": {"", &debug.BuildInfo{Main: debug.Module{Version: "(devel)"}}, "devel"},
		"a build of files":                {"", &debug.BuildInfo{}, "devel"},
		"no information":                  {"", nil, "devel"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := version(c.linked, c.info); got != c.want {
				t.Errorf("%q, want %q", got, c.want)
			}
		})
	}
}
