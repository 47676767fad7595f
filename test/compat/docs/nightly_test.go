// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package docs_test

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"
)

// What takes long and measures nothing runs each night.
func TestTheNightRunsWhatTakesLong(t *testing.T) {
	var nightly struct {
		On   map[string][]map[string]string `json:"true"` // YAML takes "on" for that
		Jobs map[string]struct {
			Strategy struct {
				Matrix struct {
					Target []string `json:"target"`
				} `json:"matrix"`
			} `json:"strategy"`
			Steps []struct {
				Run string `json:"run"`
			} `json:"steps"`
		} `json:"jobs"`
	}
	if err := yaml.Unmarshal([]byte(read(t, ".github/workflows/nightly.yml")), &nightly); err != nil {
		t.Fatal(err)
	}
	if schedule := nightly.On["schedule"]; len(schedule) != 1 || !strings.HasSuffix(schedule[0]["cron"], " * * *") {
		t.Errorf("it runs at %v", schedule)
	}
	job := nightly.Jobs["long"]
	if len(job.Steps) == 0 || job.Steps[len(job.Steps)-1].Run != "make $TARGET" {
		t.Errorf("it runs %v", job.Steps)
	}
	targets := job.Strategy.Matrix.Target
	for _, target := range targets {
		if !regexp.MustCompile(`(?m)^ +\d+ +make +` + target + `$`).MatchString(read(t, "test/long.txt")) {
			t.Errorf("test/long.txt does not list %s", target)
		}
	}
	for _, target := range []string{"pairings", "histories", "faults"} {
		if !slices.Contains(targets, target) {
			t.Errorf("nobody runs make %s", target)
		}
	}
}
