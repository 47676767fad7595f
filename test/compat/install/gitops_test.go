// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package install_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"
)

// TestTheValuesOfArgoCDAndFluxRender renders the chart with the values of docs/gitops. A value that the chart does not know is refused.
func TestTheValuesOfArgoCDAndFluxRender(t *testing.T) {
	for file, path := range map[string][]string{
		"argocd-application.yaml": {"spec", "source", "helm", "valuesObject"},
		"flux-helmrelease.yaml":   {"spec", "values"},
	} {
		t.Run(file, func(t *testing.T) {
			content := string(must1(os.ReadFile(filepath.Join(root, "docs", "gitops", file)))(t))
			documents := strings.Split(content, "\n---\n")
			var document map[string]any
			must(t, yaml.UnmarshalStrict([]byte(documents[len(documents)-1]), &document))
			for _, name := range path {
				document, _ = document[name].(map[string]any)
			}
			if len(document) == 0 {
				t.Fatalf("%s has no values at %v", file, path)
			}
			values := filepath.Join(t.TempDir(), "values.yaml")
			must(t, os.WriteFile(values, must1(yaml.Marshal(document))(t), 0o600))
			rendered, err := template(t, "--values", values)
			must(t, err)
			if !strings.Contains(rendered, "image: registry.example.com/hallpass/manager:v0.1.0") {
				t.Errorf("%s: the chart does not take its image", file)
			}
			if !strings.Contains(content, "charts/hallpass") {
				t.Errorf("%s does not name the chart", file)
			}
		})
	}
}
