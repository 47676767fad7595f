// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package docs_test

import (
	"slices"
	"strings"
	"testing"
)

// healthy are the reasons of conditions that need no help.
var healthy = []string{"Trusted", "KeysFetched", "Registered", "Granted", "Declared", "InForce", "Issued"}

// Each row of docs/troubleshooting.md has where to look and what to do. There is a row for every
// reason of a condition, every error of the token endpoint and every event about a stale use, and
// none for a reason that does not exist.
func TestTroubleshootingIsComplete(t *testing.T) {
	page := read(t, "docs/troubleshooting.md")
	var symptoms []string
	for line := range strings.Lines(page) {
		cells := strings.Split(strings.ReplaceAll(strings.TrimSpace(line), `\|`, "/"), "|")
		if !strings.HasPrefix(line, "|") || strings.HasPrefix(cells[1], "--") || cells[1] == " symptom " || cells[1] == " reason " {
			continue
		}
		if len(cells) != 5 || len(strings.TrimSpace(cells[2])) < 5 || len(strings.TrimSpace(cells[3])) < 10 {
			t.Errorf("not a symptom, where to look and what to do: %s", line)
			continue
		}
		symptoms = append(symptoms, firstGroups("`(\\w+)`", cells[1])...)
	}
	reasons := firstGroups(`Reason\w+ = "(\w+)"`, sources(t, "api/v1alpha1"))
	wanted := slices.Concat(reasons, firstGroups(`ErrorCode = "(\w+)"`, sources(t, "internal/oauth2")), firstGroups(`StaleUse = "(\w+)"`, sources(t, "internal/oauth2")))
	if len(reasons) < 30 || len(wanted) < len(reasons)+10 {
		t.Fatalf("%d reasons, and %d with errors and uses; does this test still read them right?", len(reasons), len(wanted))
	}
	for _, name := range wanted {
		if slices.Contains(symptoms, name) == slices.Contains(healthy, name) {
			t.Errorf("docs/troubleshooting.md has a row for %s: %v", name, slices.Contains(symptoms, name))
		}
	}
	_, table, _ := strings.Cut(page, "## An object is not ready")
	table, _, _ = strings.Cut(table, "\n## ")
	for _, reason := range firstGroups("`([A-Z][a-z]\\w+)`", strings.Join(firstGroups(`(?m)^\| ([^|]+) \|`, table), " ")) {
		if !slices.Contains(reasons, reason) {
			t.Errorf("docs/troubleshooting.md has a row for %s, which no condition has", reason)
		}
	}
}
