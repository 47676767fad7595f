// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package install_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"

	"github.com/hallpass-dev/hallpass/test/kit/controlplane"
)

// TestTheValuesOfArgoCDAndFluxRender renders the chart with the values of docs/gitops. A value that
// the chart does not know is refused.
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

// TestTheSchemasOfArgoCDAndFluxAcceptTheirManifests has the API server validate the manifests of
// docs/gitops by the CustomResourceDefinitions of Argo CD and Flux. A field that these lack is an
// error.
func TestTheSchemasOfArgoCDAndFluxAcceptTheirManifests(t *testing.T) {
	c := share(t, ofKustomize)
	serveForeignKinds(t, c)
	for file, want := range map[string]struct {
		namespace string
		objects   int
	}{
		"argocd-application.yaml": {"argocd", 1},
		"flux-helmrelease.yaml":   {"flux-system", 2},
	} {
		t.Run(file, func(t *testing.T) {
			c.restrict(t, want.namespace)
			apply := func(content string) (string, error) {
				copied := filepath.Join(t.TempDir(), file)
				must(t, os.WriteFile(copied, []byte(content), 0o600))
				output, complaints, err := run(t, c.Kubeconfig(), c.Kubectl(), "apply", "--server-side", "--dry-run=server", "--validate=strict", "--filename", copied)
				return output + complaints, err
			}
			content := string(must1(os.ReadFile(filepath.Join(root, "docs", "gitops", file)))(t))
			output, err := apply(content)
			must(t, err)
			if accepted := strings.Count(output, "serverside-applied"); accepted != want.objects {
				t.Errorf("the API server accepts %d of %d objects:\n%s", accepted, want.objects, output)
			}
			if output, err := apply(strings.ReplaceAll(content, "\nspec:\n", "\nspec:\n  misspelled: true\n")); err == nil {
				t.Errorf("a field that the schema lacks is accepted:\n%s", output)
			}
		})
	}
}

// TestArgoCDTakesTheHealthAndTheActions adds docs/argocd to a kustomization that has Argo CD's
// ConfigMap.
func TestArgoCDTakesTheHealthAndTheActions(t *testing.T) {
	desk := t.TempDir()
	must(t, os.CopyFS(filepath.Join(desk, "hallpass"), os.DirFS(filepath.Join(root, "docs", "argocd"))))
	for name, content := range map[string]string{
		"argocd-cm.yaml":     "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: argocd-cm, namespace: argocd}\ndata: {url: https://argocd.example.com}\n",
		"kustomization.yaml": "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nresources: [argocd-cm.yaml]\ncomponents: [hallpass]\n",
	} {
		must(t, os.WriteFile(filepath.Join(desk, name), []byte(content), 0o600))
	}
	assets, err := controlplane.FindAssets(t.Context(), os.Stderr)
	must(t, err)
	rendered, _, err := run(t, "", assets.Kubectl, "kustomize", desk)
	must(t, err)
	for _, want := range []string{
		"name: argocd-cm\n", "url: https://argocd.example.com", "health.hallpass.dev_OAuth2Client: |", "health.hallpass.dev_OAuth2Resource: |", "health.hallpass.dev_OAuth2Token: |",
		"health.hallpass.dev_OAuth2Policy: |", "health.hallpass.dev_TokenRevocation: |", "actions.hallpass.dev_OAuth2Client: |", "name: rotate",
	} {
		if !strings.Contains(rendered, want) {
			t.Errorf("the ConfigMap lacks %q:\n%s", want, rendered)
		}
	}
}
