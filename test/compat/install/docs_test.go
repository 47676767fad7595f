// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package install_test

import (
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/internal/registration"
	"github.com/hallpass-dev/hallpass/test/kit/installation"
)

var shellBlock = regexp.MustCompile("(?ms)^```sh\n(.*?)^```$")

// TestTheCommandsOfTheInstallationPageRun types them in order, in a folder that has the
// repository's config and charts.
func TestTheCommandsOfTheInstallationPageRun(t *testing.T) {
	c := start(t)
	page, err := os.ReadFile(filepath.Join(root, "docs", "install.md"))
	must(t, err)
	blocks := shellBlock.FindAllStringSubmatch(string(page), -1)
	if len(blocks) != 5 {
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
	for name, commands := range map[string]struct {
		install   []string
		uninstall string
	}{"helm": {[]string{blocks[0][1], blocks[2][1]}, blocks[3][1]}, "kustomize": {[]string{blocks[1][1]}, blocks[4][1]}} {
		t.Run(name, func(t *testing.T) {
			c := c
			if name == "kustomize" {
				c = start(t)
			}
			enter := func(block string) {
				_, complaints, err := run(t, c.Kubeconfig(), "bash", "-euo", "pipefail", "-c", "cd "+desk+"; PATH="+tools+":$PATH; registry=mirror.example.com/own\n"+block)
				must(t, err)
				refuseWarnings(t, complaints)
			}
			for _, block := range commands.install {
				enter(block)
			}
			c.admitPods(t, system)
			deployments, err := c.admin.AppsV1().Deployments(system).List(t.Context(), metav1.ListOptions{})
			must(t, err)
			for _, deployment := range deployments.Items {
				settings := deployment.Spec.Template.Spec.Containers[0]
				if want := "mirror.example.com/own/" + strings.TrimPrefix(deployment.Name, "hallpass-") + ":v0.1.0"; settings.Image != want {
					t.Errorf("%s has the image %s, want %s", deployment.Name, settings.Image, want)
				}
				if text := strings.Join(settings.Args, " "); len(settings.EnvFrom) == 0 && !strings.Contains(text, "--issuer=https://hallpass.example.com") {
					t.Errorf("%s is started with %s", deployment.Name, text)
				}
			}
			roles, err := c.admin.RbacV1().ClusterRoles().List(t.Context(), metav1.ListOptions{FieldSelector: "metadata.name=hallpass-manager"})
			must(t, err)
			if narrow := name == "helm"; narrow != (len(roles.Items) == 0) {
				t.Errorf("%d ClusterRoles of the manager", len(roles.Items))
			}
			enter(commands.uninstall)
			left, _ := c.kubectl(t, "get", "namespaces,customresourcedefinitions,clusterroles,clusterrolebindings,validatingadmissionpolicies,validatingadmissionpolicybindings", "--output", "name")
			if strings.Contains(left, "hallpass") {
				t.Errorf("after the commands that uninstall there are %s", left)
			}
		})
	}
}

// TestTheCommandsOfTheOperationsPageRun types them around a running installation: what is issued
// before a loss is good after it.
func TestTheCommandsOfTheOperationsPageRun(t *testing.T) {
	n := &operated{cluster: start(t)}
	n.restrict(t, system)
	n.restrict(t, "shop")
	n.helm(t, "install", "hallpass", chart, "--namespace", system)
	page, err := os.ReadFile(filepath.Join(root, "docs", "operations.md"))
	must(t, err)
	blocks := shellBlock.FindAllStringSubmatch(string(page), -1)
	if len(blocks) != 4 {
		t.Fatalf("the page has %d blocks of commands; does this test still read it right?", len(blocks))
	}
	upgrade, backUp, restore, drill := blocks[0][1], blocks[1][1], blocks[2][1], blocks[3][1]
	path, err := helmPath()
	must(t, err)
	tools := t.TempDir()
	must(t, os.Symlink(path, filepath.Join(tools, "helm")))
	must(t, os.Symlink(n.Kubectl(), filepath.Join(tools, "kubectl")))
	desk := t.TempDir()
	must(t, os.CopyFS(filepath.Join(desk, "charts"), os.DirFS(filepath.Join(root, "charts"))))
	enter := func(commands string) {
		t.Helper()
		_, _, err := run(t, n.Kubeconfig(), "bash", "-euo", "pipefail", "-c", "cd "+desk+"; PATH="+tools+":$PATH\n"+commands)
		must(t, err)
	}
	enter(upgrade)
	n.begin(t)
	caller := &v1alpha1.OAuth2Client{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "caller"}, Spec: v1alpha1.OAuth2ClientSpec{Scopes: []v1alpha1.Scope{"read"}}}
	n.create(t, caller)
	n.await(t, caller, v1alpha1.ConditionReady, v1alpha1.ReasonRegistered)
	keys := func() string {
		var secret corev1.Secret
		must(t, n.objects.Get(t.Context(), client.ObjectKey{Namespace: installation.RegistryNamespace, Name: registration.KeysSecretName}, &secret))
		return string(secret.UID) + string(secret.Data["ring.json"])
	}
	served := func() bool { return n.token(t, "shop", "caller", url.Values{}) == http.StatusOK }

	enter(backUp)
	before := keys()
	must(t, n.hallpass.Stop())
	n.hallpass = nil
	n.kubectl(t, "delete", "namespace", installation.RegistryNamespace)
	enter(upgrade)
	enter(restore)
	if after := keys(); after == before || after[36:] != before[36:] {
		t.Error("the keys that were restored are not those of before in a new Secret")
	}
	n.begin(t)
	eventually(t, served, func() string { return "the client secret of before is accepted" })

	enter(drill)
	eventually(t, served, func() string { return "the client secret is accepted after the drill" })
}
