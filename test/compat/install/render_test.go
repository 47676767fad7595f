// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

// Package install_test installs Hallpass in the ways that docs/install.md names, on a real API server, and compares what they
// install.
package install_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/yaml"

	"github.com/hallpass-dev/hallpass/test/kit/controlplane"
)

const (
	root   = "../../.."
	chart  = "charts/hallpass"
	system = "hallpass-system"
)

// helmPath builds helm, once for this machine.
var helmPath = sync.OnceValues(func() (string, error) {
	command := exec.CommandContext(context.Background(), "make", "--silent", "helm")
	command.Dir, command.Stderr = root, os.Stderr
	command.Env = append(os.Environ(), "MAKEFLAGS=")
	path, err := command.Output()
	return strings.TrimSpace(string(path)), err
})

// run runs a command in the root of the repository. What it said on both streams is returned, also with an error.
func run(t *testing.T, kubeconfig, name string, args ...string) (output, complaints string, err error) {
	t.Helper()
	command := exec.CommandContext(t.Context(), name, args...)
	command.Dir = root
	command.Env = append(os.Environ(), "KUBECONFIG="+kubeconfig, "HELM_CACHE_HOME="+t.TempDir(), "HELM_CONFIG_HOME="+t.TempDir(), "HELM_DATA_HOME="+t.TempDir())
	var stdout, stderr bytes.Buffer
	command.Stdout, command.Stderr = &stdout, &stderr
	if err = command.Run(); err != nil {
		err = fmt.Errorf("%s %s: %w: %s", filepath.Base(name), strings.Join(args, " "), err, stderr.String())
	}
	return stdout.String(), stderr.String(), err
}

func helm(t *testing.T, kubeconfig string, args ...string) (output, complaints string, err error) {
	t.Helper()
	path, err := helmPath()
	must(t, err)
	return run(t, kubeconfig, path, args...)
}

// template is what the chart renders.
func template(t *testing.T, args ...string) (string, error) {
	t.Helper()
	output, _, err := helm(t, "", append([]string{"template", "hallpass", chart, "--namespace", system}, args...)...)
	return output, err
}

// kustomize is what a kustomization below the root renders.
func kustomize(t *testing.T, dir string) string {
	t.Helper()
	assets, err := controlplane.FindAssets(t.Context(), os.Stderr)
	must(t, err)
	output, _, err := run(t, "", assets.Kubectl, "kustomize", dir)
	must(t, err)
	return output
}

// objects are those of a stream of YAML documents, by what they are called.
func objects(t *testing.T, stream string) map[string]map[string]any {
	t.Helper()
	all := map[string]map[string]any{}
	decoder := utilyaml.NewYAMLOrJSONDecoder(strings.NewReader(stream), 1<<20)
	for {
		var object map[string]any
		err := decoder.Decode(&object)
		if errors.Is(err, io.EOF) {
			return all
		}
		must(t, err)
		if len(object) == 0 {
			continue
		}
		u := unstructured.Unstructured{Object: object}
		key := u.GetKind() + " " + strings.TrimPrefix(u.GetNamespace()+"/"+u.GetName(), "/")
		if all[key] != nil {
			t.Errorf("%s is there twice", key)
		}
		all[key] = object
	}
}

// TestTheChartAndTheKustomizationInstallTheSame compares object by object. What differs by nature is named here: Helm makes the
// namespace of its release, keeps some objects when that goes, and puts the issuer where kustomize puts a ConfigMap.
func TestTheChartAndTheKustomizationInstallTheSame(t *testing.T) {
	t.Run("for the whole cluster", func(t *testing.T) { compareInstallations(t, "config/default") })
	t.Run("with a certificate of cert-manager", func(t *testing.T) {
		compareInstallations(t, "test/compat/install/testdata/certmanager", "--set", "certManager.enabled=true")
	})
	t.Run("for chosen namespaces", func(t *testing.T) {
		compareInstallations(t, "test/compat/install/testdata/namespaced", "--set", "namespaces={shop,orders}")
	})
}

func compareInstallations(t *testing.T, dir string, values ...string) {
	t.Helper()
	rendered, err := template(t, values...)
	must(t, err)
	byHelm, byKustomize := objects(t, rendered), objects(t, kustomize(t, dir))
	delete(byKustomize, "Namespace "+system)
	settings := map[string]string{}
	for key, object := range byKustomize {
		if object["kind"] == "ConfigMap" {
			settings, _, _ = unstructured.NestedStringMap(object, "data")
			delete(byKustomize, key)
		}
	}
	for _, object := range byHelm {
		unstructured.RemoveNestedField(object, "metadata", "annotations", "helm.sh/resource-policy")
		if annotations, found, _ := unstructured.NestedMap(object, "metadata", "annotations"); found && len(annotations) == 0 {
			unstructured.RemoveNestedField(object, "metadata", "annotations")
		}
		if object["kind"] == "Service" {
			unstructured.RemoveNestedField(object, "spec", "type")
		}
		settle(t, object, nil)
	}
	for _, object := range byKustomize {
		settle(t, object, settings)
	}
	if diff := cmp.Diff(byKustomize, byHelm); diff != "" {
		t.Errorf("%s against the chart (-kustomize +helm):\n%s", dir, diff)
	}
}

// TestALogThatCallersFillEvictsNoPod looks for what the kubelet would evict a pod by: a limit of ephemeral storage, which logs count
// against, and a volume with a limit that is not in memory.
func TestALogThatCallersFillEvictsNoPod(t *testing.T) {
	rendered, err := template(t)
	must(t, err)
	for how, all := range map[string]map[string]map[string]any{"helm": objects(t, rendered), "kustomize": objects(t, kustomize(t, "config/default"))} {
		pods := 0
		for key, object := range all {
			template, found, err := unstructured.NestedMap(object, "spec", "template", "spec")
			must(t, err)
			if !found {
				continue
			}
			pods++
			var pod corev1.PodSpec
			must(t, runtime.DefaultUnstructuredConverter.FromUnstructured(template, &pod))
			for _, container := range append(pod.InitContainers, pod.Containers...) {
				if limit, there := container.Resources.Limits[corev1.ResourceEphemeralStorage]; there {
					t.Errorf("%s: %s, container %s: a limit of ephemeral storage, %s", how, key, container.Name, limit.String())
				}
			}
			for _, volume := range pod.Volumes {
				if volume.EmptyDir != nil && volume.EmptyDir.Medium != corev1.StorageMediumMemory {
					t.Errorf("%s: %s, volume %s is on a disk", how, key, volume.Name)
				}
			}
		}
		if pods != 2 {
			t.Errorf("%s: %d kinds of pods, want 2", how, pods)
		}
	}
}

// TestTheChartAndTheKustomizationMonitorTheSame compares what the chart adds with config/monitoring.
func TestTheChartAndTheKustomizationMonitorTheSame(t *testing.T) {
	ordinary, err := template(t)
	must(t, err)
	rendered, err := template(t, "--set", "monitoring.podMonitor=true", "--set", "monitoring.prometheusRule=true", "--set", "monitoring.dashboard=true")
	must(t, err)
	added := objects(t, rendered)
	for key := range objects(t, ordinary) {
		delete(added, key)
	}
	if diff := cmp.Diff(objects(t, kustomize(t, "config/monitoring")), added); diff != "" {
		t.Errorf("config/monitoring against the chart (-kustomize +helm):\n%s", diff)
	}
}

// settle puts the settings into the arguments of a Deployment's container, in an order of their own.
func settle(t *testing.T, object map[string]any, settings map[string]string) {
	t.Helper()
	if object["kind"] != "Deployment" {
		return
	}
	containers, _, err := unstructured.NestedSlice(object, "spec", "template", "spec", "containers")
	must(t, err)
	container, _ := containers[0].(map[string]any)
	delete(container, "envFrom")
	args, _ := container["args"].([]any)
	for i := range args {
		for name, value := range settings {
			args[i] = strings.ReplaceAll(fmt.Sprint(args[i]), "$("+name+")", value)
		}
	}
	slices.SortFunc(args, byText)
	must(t, unstructured.SetNestedSlice(object, containers, "spec", "template", "spec", "containers"))
}

func byText(a, b any) int { return strings.Compare(fmt.Sprint(a), fmt.Sprint(b)) }

func TestTheChartPassesItsOwnLinter(t *testing.T) {
	output, _, err := helm(t, "", "lint", "--strict", chart)
	if err != nil || strings.Contains(output, "[WARNING]") {
		t.Errorf("%v: %s", err, output)
	}
}

func TestValuesThatMakeNoSenseAreRefused(t *testing.T) {
	for _, setting := range []string{
		"issuer=http://hallpass.example.com", "issuer=https://hallpass.example.com/", "issuer=hallpass.example.com",
		"isuer=https://hallpass.example.com", "image.tag=a b", "image.digests.manager=sha256:12", "image.pullPolicy=Sometimes",
		"registry.namespace=Big", "namespaces={shop,shop}", "namespaces={sh.op}", "crds.install=perhaps", "networkPolicies.apiServerPorts={0}", "networkPolicies.metricsNamespace=",
		"monitoring.podMonitor=yes", "certManager.issuerRef.name=", "tokenserver.introspectionClientCA=Callers", "monitoring.labels.a=1", "manager.replicas=0", "manager.extraArgs={leader-elect}", "manager.goMemLimit=440Mi", "manager.resources.limits.memory=lots",
		"tokenserver.autoscaling.cpuUtilization=101", "tokenserver.service.type=ExternalName", "tokenserver.resources.claims=x",
	} {
		if _, err := template(t, "--set", setting); err == nil || !strings.Contains(err.Error(), "schema") {
			t.Errorf("%s: %v, want a refusal by the schema", setting, err)
		}
	}
}

// TestEverySettingDoesSomething gives each value of values.yaml another one and looks for it in what is rendered.
func TestEverySettingDoesSomething(t *testing.T) {
	tried := map[string]struct{ set, want string }{
		"issuer":                                 {"https://id.example.com", "--issuer=https://id.example.com"},
		"clusterDomain":                          {"kube.example", "hallpass-tokenserver.hallpass-system.svc.kube.example"},
		"namespaces":                             {`["shop","orders"]`, "- --namespaces=shop,orders"},
		"image.registry":                         {"mirror.example.com/hallpass", "image: mirror.example.com/hallpass/manager:v0.1.0"},
		"image.tag":                              {"v9.9.9", "/tokenserver:v9.9.9"},
		"image.digests.manager":                  {"sha256:" + strings.Repeat("a", 64), "/manager:v0.1.0@sha256:aaaa"},
		"image.digests.tokenserver":              {"sha256:" + strings.Repeat("b", 64), "/tokenserver:v0.1.0@sha256:bbbb"},
		"image.pullPolicy":                       {"Always", "imagePullPolicy: Always"},
		"image.pullSecrets":                      {`[{"name":"mirror"}]`, "imagePullSecrets:\n      - name: mirror"},
		"registry.namespace":                     {"records", "--registry-namespace=records"},
		"registry.create":                        {"false", "!kind: Namespace"},
		"crds.install":                           {"false", "!kind: CustomResourceDefinition"},
		"crds.keep":                              {"false", ""},
		"userRoles":                              {"false", "!aggregate-to-view"},
		"admissionPolicies":                      {"false", "!ValidatingAdmissionPolicy"},
		"networkPolicies.enabled":                {"false", "!kind: NetworkPolicy"},
		"networkPolicies.metricsNamespace":       {"observability", "kubernetes.io/metadata.name: observability"},
		"networkPolicies.apiServerPorts":         {"[16443]", "port: 16443"},
		"networkPolicies.tokenServerPorts":       {"[9001]", "port: 9001"},
		"certManager.enabled":                    {"true", "- --manage-serving-certificate=false"},
		"certManager.issuerRef.group":            {"example.com", "group: example.com"},
		"certManager.issuerRef.kind":             {"Issuer", "kind: Issuer\n"},
		"certManager.issuerRef.name":             {"ours", "name: ours"},
		"tokenserver.introspectionClientCA":      {"callers-ca", "--introspection-client-ca-file=/etc/hallpass/callers/ca.crt"},
		"monitoring.podMonitor":                  {"true", "kind: PodMonitor"},
		"monitoring.prometheusRule":              {"true", "alert: HallpassNoSigningKey"},
		"monitoring.dashboard":                   {"true", "hallpass-dashboard"},
		"monitoring.labels":                      {`{"release":"prometheus"}`, "release: prometheus"},
		"priorityClassName":                      {"system-cluster-critical", "priorityClassName: system-cluster-critical"},
		"manager.replicas":                       {"4", "replicas: 4"},
		"manager.extraArgs":                      {`["--allow-client-id"]`, `- "--allow-client-id"`},
		"manager.resources":                      {`{"limits":{"memory":"1Gi"}}`, "memory: 1Gi"},
		"manager.goMemLimit":                     {"900MiB", "value: 900MiB"},
		"manager.podAnnotations":                 {`{"example.com/a":"b"}`, "example.com/a: b"},
		"manager.nodeSelector":                   {`{"example.com/pool":"core"}`, "example.com/pool: core"},
		"manager.tolerations":                    {`[{"key":"core"}]`, "- key: core"},
		"tokenserver.replicas":                   {"5", "replicas: 5"},
		"tokenserver.autoscaling.enabled":        {"true", "kind: HorizontalPodAutoscaler"},
		"tokenserver.autoscaling.maxReplicas":    {"20", "maxReplicas: 20"},
		"tokenserver.autoscaling.cpuUtilization": {"55", "averageUtilization: 55"},
		"tokenserver.extraArgs":                  {`["--client-rate=50"]`, `- "--client-rate=50"`},
		"tokenserver.resources":                  {`{"limits":{"memory":"1Gi"}}`, "memory: 1Gi"},
		"tokenserver.goMemLimit":                 {"800MiB", "value: 800MiB"},
		"tokenserver.snapshotSizeLimit":          {"256Mi", "sizeLimit: 256Mi"},
		"tokenserver.certificateSecret":          {"from-cert-manager", "secretName: from-cert-manager"},
		"tokenserver.service.type":               {"LoadBalancer", "type: LoadBalancer"},
		"tokenserver.service.annotations":        {`{"example.com/lb":"internal"}`, "example.com/lb: internal"},
		"tokenserver.podAnnotations":             {`{"example.com/c":"d"}`, "example.com/c: d"},
		"tokenserver.nodeSelector":               {`{"example.com/pool":"edge"}`, "example.com/pool: edge"},
		"tokenserver.tolerations":                {`[{"key":"edge"}]`, "- key: edge"},
	}
	content, err := os.ReadFile(filepath.Join(root, chart, "values.yaml"))
	must(t, err)
	var values map[string]any
	must(t, yaml.Unmarshal(content, &values))
	for _, name := range settings("", values) {
		if _, found := tried[name]; !found {
			t.Errorf("values.yaml has %s, which no row of this test sets", name)
		}
	}
	ordinary, err := template(t)
	must(t, err)
	for name, try := range tried {
		flag, setting := "--set", name+"="+try.set
		if strings.ContainsAny(try.set[:1], "[{") {
			flag = "--set-json"
		}
		args := []string{flag, setting}
		if strings.HasPrefix(name, "tokenserver.autoscaling.") {
			args = append(args, "--set", "tokenserver.autoscaling.enabled=true")
		}
		if strings.HasPrefix(name, "certManager.") {
			args = append(args, "--set", "certManager.enabled=true")
		}
		if name == "monitoring.labels" {
			args = append(args, "--set", "monitoring.podMonitor=true")
		}
		rendered, err := template(t, args...)
		if err != nil {
			t.Errorf("%s: %v", setting, err)
			continue
		}
		unwanted, without := strings.CutPrefix(try.want, "!")
		if rendered == ordinary || without == strings.Contains(rendered, unwanted) && try.want != "" {
			t.Errorf("%s does not do what it should: %q", setting, try.want)
		}
		objects(t, rendered)
	}
}

// settings are the paths of all leaves. A list, an empty map and what Kubernetes defines are one setting each.
func settings(path string, values map[string]any) []string {
	var names []string
	for key, value := range values {
		name := strings.TrimPrefix(path+"."+key, ".")
		if below, ok := value.(map[string]any); ok && len(below) > 0 && key != "resources" {
			names = append(names, settings(name, below)...)
			continue
		}
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
