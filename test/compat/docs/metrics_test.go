// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package docs_test

import (
	"io/fs"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// A metric that no alert and no panel asks for is not read.
func TestEveryMetricIsInAnAlertOrOnTheDashboard(t *testing.T) {
	var exported []string
	for _, dir := range []string{"cmd", "internal"} {
		err := filepath.WalkDir(filepath.Join(root, dir), func(path string, entry fs.DirEntry, err error) error {
			if err == nil && entry.IsDir() {
				exported = append(exported, firstGroups(`"(hallpass_\w+)"`, sources(t, strings.TrimPrefix(path, root)))...)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	// it is not registered
	exported = slices.DeleteFunc(exported, func(name string) bool { return name == "hallpass_unseen_total" })
	if len(exported) < 30 {
		t.Fatalf("%v; does this test still read them right?", exported)
	}
	watched := read(t, "config/monitoring/alerts.yaml") + read(t, "config/monitoring/dashboard.json")
	for _, name := range exported {
		if !regexp.MustCompile(`\b` + name + `(_bucket|_sum|_count)?\b`).MatchString(watched) {
			t.Errorf("no alert and no panel asks for %s", name)
		}
	}
}
