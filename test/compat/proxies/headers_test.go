// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package proxies_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	answers "github.com/hallpass-dev/hallpass/internal/answer"
)

// A configuration that names some identity headers names all of them. A header that it leaves out
// is one that a caller can send to the upstream.
func TestEachConfigurationNamesEachIdentityHeader(t *testing.T) {
	const root, partial = "../../..", "istio.yaml" // Istio has claims only, and no namespace
	found := 0
	for _, folder := range []string{"docs/proxies", "docs/mcp", "docs/call", "docs/examples", "cmd/kubectl-hallpass/proxy/templates"} {
		err := fs.WalkDir(os.DirFS(filepath.Join(root, folder)), ".", func(path string, entry fs.DirEntry, err error) error {
			if err != nil || entry.IsDir() || strings.HasSuffix(path, ".go") || filepath.Base(path) == partial {
				return err
			}
			text, err := os.ReadFile(filepath.Join(root, folder, path))
			if err != nil {
				return err
			}
			read := strings.ReplaceAll(strings.ToLower(string(text)), "_", "-")
			if !strings.Contains(read, "x-auth-client-namespace") {
				return nil
			}
			found++
			for _, name := range answers.IdentityHeaders {
				// the name of another header may begin with this one
				if n := strings.Count(read, strings.ToLower(name)); n == 0 || n < strings.Count(read, "x-auth-expires") {
					t.Errorf("%s/%s names %s %d times", folder, path, name, n)
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	const atLeast = 11
	if found < atLeast {
		t.Errorf("%d configurations name identity headers; there were %d", found, atLeast)
	}
}
