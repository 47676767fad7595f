// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package packages

import (
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/hallpass-dev/hallpass/test/kit/world"
)

// SDKs are the versions of the SDKs of the Model Context Protocol, by the files that install them:
// those of npm by their names, "mcp 1", "mcp 2" and "go-sdk".
func SDKs(t testing.TB) map[string]string {
	t.Helper()
	read := func(file string) []byte {
		text, err := os.ReadFile(filepath.Join(root(t), file))
		world.Must(t, err)
		return text
	}
	var npm struct {
		Dependencies map[string]string `json:"dependencies"`
	}
	world.Must(t, json.Unmarshal(read("test/compat/mcp/node/package.json"), &npm))
	found := maps.Clone(npm.Dependencies)
	for name, in := range map[string][2]string{
		"mcp 1":  {"test/compat/mcp/python/requirements-1.txt", `(?m)^mcp==(\S+)$`},
		"mcp 2":  {"test/compat/mcp/python/requirements-2.txt", `(?m)^mcp==(\S+)$`},
		"go-sdk": {"docs/mcp/go.mod", `modelcontextprotocol/go-sdk v(\S+)`},
	} {
		version := regexp.MustCompile(in[1]).FindSubmatch(read(in[0]))
		if version == nil {
			t.Fatalf("%s has no version of %s", in[0], name)
		}
		found[name] = string(version[1])
	}
	return found
}
