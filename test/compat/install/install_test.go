// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package install_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/hallpass-dev/hallpass/test/kit/controlplane"
)

// cluster is a control plane on which nothing of Hallpass is.
type cluster struct {
	*controlplane.ControlPlane

	admin *kubernetes.Clientset
	// warnings are those of the API server for what admin asked.
	warnings *warnings
}

// warnings keeps what the API server warns of.
type warnings struct{ all []string }

// HandleWarningHeader implements rest.WarningHandler.
func (w *warnings) HandleWarningHeader(_ int, _, text string) { w.all = append(w.all, text) }

// The clusters that tests share, by what is installed on them. A test that shares one runs on a new
// one as well.
const (
	ofKustomize  = "config/default"
	ofNamespaced = "test/compat/install/testdata/namespaced"
	ofChart      = "the chart"
)

var shared = map[string]*controlplane.ControlPlane{}

func TestMain(m *testing.M) {
	code := m.Run()
	for _, cp := range shared {
		_ = cp.Stop()
	}
	os.Exit(code)
}

func start(t *testing.T) *cluster {
	t.Helper()
	cp, err := controlplane.Start(t.Context(), controlplane.Options{})
	must(t, err)
	t.Cleanup(func() { _ = cp.Stop() })
	return connect(t, cp)
}

// share returns the cluster on which that is installed, or a new one.
func share(t *testing.T, installed string) *cluster {
	t.Helper()
	if shared[installed] == nil {
		cp, err := controlplane.Start(context.WithoutCancel(t.Context()), controlplane.Options{})
		must(t, err)
		shared[installed] = cp
	}
	return connect(t, shared[installed])
}

func connect(t *testing.T, cp *controlplane.ControlPlane) *cluster {
	t.Helper()
	c := &cluster{ControlPlane: cp, warnings: &warnings{}}
	config := rest.CopyConfig(cp.AdminConfig())
	config.WarningHandler, config.ContentType = c.warnings, runtime.ContentTypeProtobuf
	var err error
	c.admin, err = kubernetes.NewForConfig(config)
	must(t, err)
	return c
}

func (c *cluster) kubectl(t *testing.T, args ...string) (output, complaints string) {
	t.Helper()
	output, complaints, err := run(t, c.Kubeconfig(), c.Kubectl(), args...)
	must(t, err)
	return output, complaints
}

func (c *cluster) helm(t *testing.T, args ...string) {
	t.Helper()
	_, complaints, err := helm(t, c.Kubeconfig(), args...)
	must(t, err)
	refuseWarnings(t, complaints)
}

// refuseWarnings looks for what kubectl and helm pass on of the API server's warnings.
func refuseWarnings(t *testing.T, complaints string) {
	t.Helper()
	for line := range strings.Lines(complaints) {
		if strings.Contains(strings.ToLower(line), "warning") || strings.Contains(line, "would violate") {
			t.Errorf("a warning: %s", line)
		}
	}
}

// restrict makes a namespace, if it is not there, in which Pod Security enforces `restricted`.
func (c *cluster) restrict(t *testing.T, namespace string) {
	t.Helper()
	labels := map[string]string{}
	for _, mode := range []string{"enforce", "warn", "audit"} {
		labels["pod-security.kubernetes.io/"+mode] = "restricted"
	}
	_, err := c.admin.CoreV1().Namespaces().Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace, Labels: labels}}, metav1.CreateOptions{})
	if !apierrors.IsAlreadyExists(err) {
		must(t, err)
	}
}

// admitPods makes a pod from each Deployment's template, as the controllers do that this control
// plane lacks: it is pods that Pod Security enforces. Before that it shows that it would refuse
// one.
func (c *cluster) admitPods(t *testing.T, namespace string) {
	t.Helper()
	deployments, err := c.admin.AppsV1().Deployments(namespace).List(t.Context(), metav1.ListOptions{})
	must(t, err)
	if len(deployments.Items) != 2 {
		t.Fatalf("%d Deployments, want 2", len(deployments.Items))
	}
	for i := range deployments.Items {
		pod := podOf(&deployments.Items[i])
		if _, err := c.admin.CoreV1().Pods(namespace).Create(t.Context(), pod, metav1.CreateOptions{}); err != nil {
			t.Errorf("a pod of %s: %v", deployments.Items[i].Name, err)
		}
		loose := podOf(&deployments.Items[i])
		loose.Spec.Containers[0].SecurityContext = nil
		if _, err := c.admin.CoreV1().Pods(namespace).Create(t.Context(), loose, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}}); !apierrors.IsForbidden(err) {
			t.Errorf("a pod of %s without a security context: %v, want forbidden", deployments.Items[i].Name, err)
		}
	}
	if len(c.warnings.all) > 0 {
		t.Errorf("warnings: %q", c.warnings.all)
	}
}

func podOf(d *appsv1.Deployment) *corev1.Pod {
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{GenerateName: d.Name + "-", Labels: d.Spec.Template.Labels, Annotations: d.Spec.Template.Annotations},
		Spec:       *d.Spec.Template.Spec.DeepCopy(),
	}
}

// TestTheKustomizationInstallsWithoutAWarning applies config/default twice: the second time changes
// nothing.
func TestTheKustomizationInstallsWithoutAWarning(t *testing.T) {
	c := share(t, ofKustomize)
	_, complaints := c.kubectl(t, "apply", "--server-side", "-k", "config/default")
	refuseWarnings(t, complaints)
	c.admitPods(t, system)
	again, _ := c.kubectl(t, "apply", "-k", "config/default", "--server-side", "--output=name")
	if len(strings.Fields(again)) < 20 {
		t.Errorf("the second time it names %s", again)
	}
}

// TestTheChartTakesTheKindsAlongIfAsked removes a release that keeps nothing, so that the next test
// finds nothing.
func TestTheChartTakesTheKindsAlongIfAsked(t *testing.T) {
	c := share(t, ofChart)
	c.restrict(t, "elsewhere")
	c.helm(t, "install", "hallpass", chart, "--namespace", "elsewhere", "--set", "crds.keep=false,registry.namespace=records,priorityClassName=system-cluster-critical",
		"--set", "tokenserver.autoscaling.enabled=true,issuer=https://id.example.com")
	// one that goes before that may stay for minutes
	c.kubectl(t, "wait", "--for=condition=Established", "--timeout=3m", "crd", "--all")
	c.admitPods(t, "elsewhere")
	c.helm(t, "uninstall", "hallpass", "--namespace", "elsewhere")
	var left string
	looked := time.Now()
	eventually(t, func() bool {
		left, _ = c.kubectl(t, "get", "crd", "-o", "name")
		if time.Since(looked) > 20*time.Second {
			// The API server reads a kind that it could not empty after minutes
			// only, or when it changes.
			_, _, _ = run(t, c.Kubeconfig(), c.Kubectl(), "annotate", "crd", "--all", "--overwrite", "example.com/look="+time.Now().Format("150405"))
			looked = time.Now()
		}
		return !strings.Contains(left, "hallpass")
	}, func() string { return "still there: " + left })
}

// TestTheChartInstallsUpgradesAndGoes walks a release's life: installed as it is, upgraded with the
// kinds, removed without what users wrote, and installed again over what stayed.
func TestTheChartInstallsUpgradesAndGoes(t *testing.T) {
	c := share(t, ofChart)
	c.restrict(t, system)
	install := []string{"install", "hallpass", chart, "--namespace", system}
	c.helm(t, install...)
	c.kubectl(t, "wait", "--for=condition=Established", "--timeout=3m", "crd", "--all")
	c.admitPods(t, system)
	for namespace, args := range map[string][]string{
		"elsewhere": nil, system: {"--set", "registry.namespace=other"}, "another": {"--set", "fullnameOverride=another,registry.namespace=other,crds.install=false"},
	} {
		_, _, err := helm(t, c.Kubeconfig(), append([]string{"install", "second", chart, "--namespace", namespace, "--create-namespace"}, args...)...)
		if want := "already installed in this cluster, as the release " + system + "/hallpass"; err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("a second release in %s: %v, want %q", namespace, err, want)
		}
	}
	const columns = "jsonpath={.spec.versions[0].additionalPrinterColumns[*].name}"
	current, _ := c.kubectl(t, "get", "crd", "oauth2clients.hallpass.dev", "-o", columns)

	outdated := copyOfChart(t)
	rename(t, filepath.Join(outdated, "templates", "crd-oauth2clients.yaml"), "name: Ready", "name: Olden")
	c.helm(t, "upgrade", "hallpass", outdated, "--namespace", system)
	if got, _ := c.kubectl(t, "get", "crd", "oauth2clients.hallpass.dev", "-o", columns); !strings.Contains(got, "Olden") {
		t.Fatalf("the kind of the older chart has the columns %s", got)
	}
	c.helm(t, "upgrade", "hallpass", chart, "--namespace", system)
	if got, _ := c.kubectl(t, "get", "crd", "oauth2clients.hallpass.dev", "-o", columns); got != current {
		t.Errorf("after the upgrade the kind has the columns %s, want %s", got, current)
	}

	client := filepath.Join(t.TempDir(), "client.json")
	must(t, os.WriteFile(client, must1(json.Marshal(map[string]any{
		"apiVersion": "hallpass.dev/v1alpha1", "kind": "OAuth2Client", "metadata": map[string]any{"name": "kept", "namespace": "default"},
		"spec": map[string]any{"scopes": []string{"read"}},
	}))(t), 0o600))
	c.kubectl(t, "apply", "-f", client)
	// of which a client has one
	for entry, name := range map[string]string{"secret": "in-a-secret", "configMap": "in-a-configmap"} {
		c.kubectl(t, "patch", "hpc", "kept", "--subresource=status", "--type=merge", "--patch", `{"status":{"secret":null,"configMap":null}}`)
		c.kubectl(t, "patch", "hpc", "kept", "--subresource=status", "--type=merge", "--patch", fmt.Sprintf(`{"status":{%q:{"name":%q}}}`, entry, name))
		if wide, _ := c.kubectl(t, "get", "hpc", "kept", "--output", "wide"); !strings.Contains(wide, name) {
			t.Errorf("the columns do not have %s: %s", name, wide)
		}
	}
	uid, _ := c.kubectl(t, "get", "oauth2client", "kept", "-o", "jsonpath={.metadata.uid}")
	c.helm(t, "uninstall", "hallpass", "--namespace", system)
	if left, err := c.admin.AppsV1().Deployments(system).List(t.Context(), metav1.ListOptions{}); err != nil || len(left.Items) > 0 {
		t.Errorf("after the release is gone: %v, %d Deployments", err, len(left.Items))
	}
	if _, err := c.admin.CoreV1().Namespaces().Get(t.Context(), "hallpass-registry", metav1.GetOptions{}); err != nil {
		t.Errorf("the registry: %v, want it kept", err)
	}
	c.helm(t, install...)
	if again, _ := c.kubectl(t, "get", "oauth2client", "kept", "-o", "jsonpath={.metadata.uid}"); again != uid {
		t.Errorf("the client has the UID %q, want %q", again, uid)
	}
}

// TestAReleaseBesideAKustomizationIsRefused: whatever names the installation has, and whether it
// has roles or policies.
func TestAReleaseBesideAKustomizationIsRefused(t *testing.T) {
	c := start(t)
	c.kubectl(t, "apply", "--server-side", "-k", "config/namespaces")
	refused := func() bool {
		_, _, err := helm(t, c.Kubeconfig(), "install", "second", chart, "--namespace", "elsewhere", "--create-namespace", "--dry-run=server", "--set", "registry.namespace=other")
		if err != nil && !strings.Contains(err.Error(), "already installed in this cluster, and not by Helm") {
			t.Error(err)
		}
		return err != nil
	}
	if refused() {
		t.Fatal("an empty cluster refuses it")
	}
	for _, part := range []string{"rbac", "admission"} {
		dir := own(t, "nameSuffix: -blue\nresources: [../config/"+part+"]\n", nil)
		c.kubectl(t, "apply", "--server-side", "-k", dir)
		if !refused() {
			t.Errorf("beside what config/%s installs it is taken", part)
		}
		c.kubectl(t, "delete", "-k", dir)
	}
}

// copyOfChart is the chart to be changed.
func copyOfChart(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	must(t, os.CopyFS(dir, os.DirFS(filepath.Join(root, chart))))
	return dir
}

func rename(t *testing.T, file, from, to string) {
	t.Helper()
	text, err := os.ReadFile(file)
	must(t, err)
	if !strings.Contains(string(text), from) {
		t.Fatalf("%s has no %q", file, from)
	}
	must(t, os.WriteFile(file, []byte(strings.Replace(string(text), from, to, 1)), 0o600))
}

func must1[T any](value T, err error) func(*testing.T) T {
	return func(t *testing.T) T {
		t.Helper()
		must(t, err)
		return value
	}
}
