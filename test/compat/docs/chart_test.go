// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package docs_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"
)

// TestArtifactHubReadsTheChart checks what Artifact Hub shows of the chart: each custom resource,
// examples that the API server would accept, and an icon that exists.
func TestArtifactHubReadsTheChart(t *testing.T) {
	var chart struct {
		Icon        string            `json:"icon"`
		Annotations map[string]string `json:"annotations"`
	}
	if err := yaml.Unmarshal([]byte(read(t, "charts/hallpass/Chart.yaml")), &chart); err != nil {
		t.Fatal(err)
	}
	_, icon, found := strings.Cut(chart.Icon, "/hallpass-dev/hallpass/main/")
	if _, err := os.Stat(filepath.Join("../../..", icon)); err != nil || !found {
		t.Errorf("the icon %s is not in the repository: %v", chart.Icon, err)
	}

	var listed []struct {
		Kind        string `json:"kind"`
		Version     string `json:"version"`
		Name        string `json:"name"`
		DisplayName string `json:"displayName"`
		Description string `json:"description"`
	}
	if err := yaml.UnmarshalStrict([]byte(chart.Annotations["artifacthub.io/crds"]), &listed); err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, crd := range listed {
		names = append(names, "hallpass.dev_"+strings.TrimSuffix(crd.Name, ".hallpass.dev")+".yaml")
	}
	files, err := filepath.Glob("../../../config/crd/bases/*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var want []string
	for _, file := range files {
		want = append(want, filepath.Base(file))
	}
	slices.Sort(names)
	if diff := cmp.Diff(want, names); diff != "" {
		t.Errorf("artifacthub.io/crds (-want +got):\n%s", diff)
	}

	var examples []map[string]any
	if err := yaml.UnmarshalStrict([]byte(chart.Annotations["artifacthub.io/crdsExamples"]), &examples); err != nil {
		t.Fatal(err)
	}
	for _, example := range examples {
		kind, _ := example["kind"].(string)
		for _, problem := range violations(schemaOf(t, kind), example, kind) {
			t.Errorf("artifacthub.io/crdsExamples: %s", problem)
		}
	}
	if len(examples) < 2 {
		t.Errorf("%d examples", len(examples))
	}
}
