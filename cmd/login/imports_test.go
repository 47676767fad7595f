// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package main_test

import (
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestNothingThatHoldsKeysIsLinked reads the import graph: login has no code that reads or makes a
// token or a key of Hallpass, so a taken-over login has nothing to use one with.
func TestNothingThatHoldsKeysIsLinked(t *testing.T) {
	const module = "github.com/hallpass-dev/hallpass/"
	list := exec.CommandContext(t.Context(), "go", "list", "-deps", module+"cmd/login")
	output, err := list.Output()
	if err != nil {
		t.Fatalf("%v: %v", list.Args, err)
	}
	var own []string
	for imported := range strings.FieldsSeq(string(output)) {
		if name, ok := strings.CutPrefix(imported, module); ok {
			own = append(own, name)
		}
		for _, library := range []string{"sigs.k8s.io/controller-runtime", "k8s.io/client-go/kubernetes", "google.golang.org/grpc"} {
			if imported == library {
				t.Errorf("login links %s", library)
			}
		}
	}
	want := []string{
		"cmd/login", "cmd/login/app", "internal/budget", "internal/login", "internal/login/cluster", "internal/login/provider",
		"internal/loginport", "internal/outbound", "internal/serve",
	}
	slices.Sort(own)
	if diff := cmp.Diff(want, own); diff != "" {
		t.Errorf("packages of this module (-want +linked):\n%s", diff)
	}
}
