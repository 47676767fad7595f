// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package docs_test

import (
	"strings"
	"testing"

	"sigs.k8s.io/yaml"
)

type workflow struct {
	Permissions map[string]string `json:"permissions"`
	Jobs        map[string]struct {
		Permissions map[string]string `json:"permissions"`
		Environment string            `json:"environment"`
		Needs       any               `json:"needs"`
		Steps       []struct {
			Uses string `json:"uses"`
			Run  string `json:"run"`
		} `json:"steps"`
	} `json:"jobs"`
}

// What builds can neither push nor sign, and what signs runs no code of this repository.
func TestTheReleaseIsBuiltAndSignedInSeparateJobs(t *testing.T) {
	var release workflow
	if err := yaml.Unmarshal([]byte(read(t, ".github/workflows/release.yml")), &release); err != nil {
		t.Fatal(err)
	}
	if len(release.Permissions) != 0 || len(release.Jobs) < 3 {
		t.Fatalf("permissions of every job: %v; %d jobs", release.Permissions, len(release.Jobs))
	}
	signers := 0
	for name, job := range release.Jobs {
		runsCode, writes := false, false
		for _, step := range job.Steps {
			runsCode = runsCode || strings.HasPrefix(step.Uses, "actions/checkout@") || strings.Contains(step.Run, "make ") || strings.Contains(step.Run, "go ")
		}
		for _, level := range job.Permissions {
			writes = writes || level == "write"
		}
		if _, signs := job.Permissions["id-token"]; signs {
			signers++
		}
		if len(job.Permissions) == 0 || runsCode && writes {
			t.Errorf("job %s runs code of the repository: %t, with the permissions %v", name, runsCode, job.Permissions)
		}
		if writes && (job.Environment != "release" || job.Needs == nil) {
			t.Errorf("job %s may write in environment %q after %v", name, job.Environment, job.Needs)
		}
	}
	if signers != 1 {
		t.Errorf("%d jobs sign", signers)
	}
	build := ""
	for _, step := range release.Jobs["build"].Steps {
		build += step.Run + "\n"
	}
	for _, want := range []string{"git merge-base --is-ancestor HEAD origin/main", "'^TestSignaturesAreThoseOfRFC6979$' ./internal/jws"} {
		if !strings.Contains(build, want) {
			t.Errorf("the build does not run %s", want)
		}
	}
	if !strings.Contains(read(t, "internal/jws/own_test.go"), "func TestSignaturesAreThoseOfRFC6979(") {
		t.Error("the build runs a test that there is not")
	}
}
