// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package install_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

var shellBlock = regexp.MustCompile("(?ms)^```sh\n(.*?)^```$")

// TestTheCommandsOfTheInstallationPageRun types them in order, in a folder that has the repository's config and charts.
func TestTheCommandsOfTheInstallationPageRun(t *testing.T) {
	c := start(t)
	page, err := os.ReadFile(filepath.Join(root, "docs", "install.md"))
	must(t, err)
	blocks := shellBlock.FindAllStringSubmatch(string(page), -1)
	if len(blocks) != 3 {
		t.Fatalf("the page has %d blocks of commands; does this test still read it right?", len(blocks))
	}
	path, err := helmPath()
	must(t, err)
	desk := t.TempDir()
	for name, target := range map[string]string{"config": filepath.Join(root, "config"), "charts": filepath.Join(root, "charts")} {
		must(t, os.CopyFS(filepath.Join(desk, name), os.DirFS(target)))
	}
	tools := t.TempDir()
	must(t, os.Symlink(path, filepath.Join(tools, "helm")))
	must(t, os.Symlink(c.Kubectl(), filepath.Join(tools, "kubectl")))
	// Helm owns what it installed, so kustomize comes to a cluster of its own.
	for name, commands := range map[string][]string{"helm": {blocks[0][1], blocks[2][1]}, "kustomize": {blocks[1][1]}} {
		t.Run(name, func(t *testing.T) {
			c := c
			if name == "kustomize" {
				c = start(t)
			}
			for _, block := range commands {
				_, complaints, err := run(t, c.Kubeconfig(), "bash", "-euc", "cd "+desk+"; PATH="+tools+":$PATH\n"+block)
				must(t, err)
				refuseWarnings(t, complaints)
			}
			c.admitPods(t, system)
			deployments, err := c.admin.AppsV1().Deployments(system).List(t.Context(), metav1.ListOptions{})
			must(t, err)
			for _, deployment := range deployments.Items {
				settings := deployment.Spec.Template.Spec.Containers[0]
				if text := strings.Join(settings.Args, " "); len(settings.EnvFrom) == 0 && !strings.Contains(text, "--issuer=https://hallpass.example.com") {
					t.Errorf("%s is started with %s", deployment.Name, text)
				}
			}
			roles, err := c.admin.RbacV1().ClusterRoles().List(t.Context(), metav1.ListOptions{FieldSelector: "metadata.name=hallpass-manager"})
			must(t, err)
			if narrow := name == "helm"; narrow != (len(roles.Items) == 0) {
				t.Errorf("%d ClusterRoles of the manager", len(roles.Items))
			}
		})
	}
}
