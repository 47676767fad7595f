// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

// Package install_test installs Hallpass in the ways that docs/install.md names, on a real API
// server, and compares what they install.
package install_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
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

// run runs a command in the root of the repository. Its output on both streams is returned, also
// with an error.
func run(t *testing.T, kubeconfig, name string, args ...string) (output, complaints string, err error) {
	t.Helper()
	command := exec.CommandContext(t.Context(), name, args...)
	command.Dir = root
	// helm and kubectl are run hundreds of times, and end before garbage would matter
	command.Env = append(os.Environ(), "GOGC=off", "GOMEMLIMIT=400MiB", "KUBECONFIG="+kubeconfig, "HELM_CACHE_HOME="+t.TempDir(), "HELM_CONFIG_HOME="+t.TempDir(), "HELM_DATA_HOME="+t.TempDir())
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

// read are the objects of YAML documents that were read, by their text: most streams differ in a
// document or two, and there are hundreds of streams.
var read sync.Map

// objectOf returns that of a YAML document; the caller may change it.
func objectOf(t *testing.T, document string) map[string]any {
	t.Helper()
	if known, found := read.Load(document); found {
		object, _ := known.(map[string]any)
		return runtime.DeepCopyJSON(object)
	}
	var object map[string]any
	must(t, yaml.Unmarshal([]byte(document), &object))
	read.Store(document, runtime.DeepCopyJSON(object))
	return object
}

// documents are those of a stream of YAML.
func documents(t *testing.T, stream string) []string {
	t.Helper()
	var all []string
	for reader := utilyaml.NewYAMLReader(bufio.NewReader(strings.NewReader(stream))); ; {
		document, err := reader.Read()
		if errors.Is(err, io.EOF) {
			return all
		}
		must(t, err)
		all = append(all, string(document))
	}
}

// objects are those of a stream of YAML documents, by what they are called.
func objects(t *testing.T, stream string) map[string]map[string]any {
	t.Helper()
	all := map[string]map[string]any{}
	for _, document := range documents(t, stream) {
		object := objectOf(t, document)
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
	return all
}

// TestTheChartAndTheKustomizationInstallTheSame compares object by object. What differs by nature
// is named here: Helm makes the namespace of its release, keeps some objects when that goes, and
// puts the issuer where kustomize puts a ConfigMap.
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
	byHelm, byKustomize := alike(t, rendered, system), alike(t, kustomize(t, dir), system)
	if diff := cmp.Diff(byKustomize, byHelm); diff != "" {
		t.Errorf("%s against the chart (-kustomize +helm):\n%s", dir, diff)
	}
}

// TestTheChartAndTheKustomizationRaiseTheMemoryOfRecords by what the docs have for each.
func TestTheChartAndTheKustomizationRaiseTheMemoryOfRecords(t *testing.T) {
	page, err := os.ReadFile(filepath.Join(root, "docs", "operations.md"))
	must(t, err)
	block := func(begin string) string {
		_, rest, found := strings.Cut(string(page), "```yaml\n"+begin)
		text, _, ends := strings.Cut(rest, "```\n")
		if !found || !ends {
			t.Fatalf("docs/operations.md has no block that begins with %s", begin)
		}
		return begin + text
	}
	values := filepath.Join(t.TempDir(), "values.yaml")
	must(t, os.WriteFile(values, []byte(block("records:")), 0o600))
	rendered, err := template(t, "--values", values)
	must(t, err)
	stream := kustomize(t, own(t, "resources: [../config/default]\n"+block("patches:"), nil))
	byHelm, byKustomize := alike(t, rendered, system), alike(t, stream, system)
	if diff := cmp.Diff(byKustomize, byHelm); diff != "" {
		t.Errorf("(-kustomize +helm):\n%s", diff)
	}
	if shipped := alike(t, kustomize(t, "config/default"), system); cmp.Equal(shipped, byKustomize) {
		t.Error("the patches change nothing")
	}
}

// alike are the objects of a stream without what differs by nature.
func alike(t *testing.T, stream, namespace string) map[string]map[string]any {
	t.Helper()
	all := objects(t, stream)
	delete(all, "Namespace "+namespace)
	settings := map[string]string{}
	for key, object := range all {
		if object["kind"] == "ConfigMap" {
			settings, _, _ = unstructured.NestedStringMap(object, "data")
			delete(all, key)
		}
	}
	for _, object := range all {
		unstructured.RemoveNestedField(object, "metadata", "annotations", "helm.sh/resource-policy")
		if annotations, found, _ := unstructured.NestedMap(object, "metadata", "annotations"); found && len(annotations) == 0 {
			unstructured.RemoveNestedField(object, "metadata", "annotations")
		}
		// the default
		if kind, _, _ := unstructured.NestedString(object, "spec", "type"); kind == "ClusterIP" {
			unstructured.RemoveNestedField(object, "spec", "type")
		}
		settle(t, object, settings)
	}
	return all
}

// TestALogThatCallersFillEvictsNoPod looks for what the kubelet would evict a pod by: a limit of
// ephemeral storage, which logs count against, and a volume with a limit that is not in memory.
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

// TestTheChartAndTheKustomizationMonitorTheSame compares what the chart adds with
// config/monitoring.
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

// settle puts the settings and the name of the Service into the arguments of a Deployment's
// container, in an order of their own.
func settle(t *testing.T, object map[string]any, settings map[string]string) {
	t.Helper()
	if object["kind"] != "Deployment" {
		return
	}
	containers, _, err := unstructured.NestedSlice(object, "spec", "template", "spec", "containers")
	must(t, err)
	container, _ := containers[0].(map[string]any)
	delete(container, "envFrom")
	settings = maps.Clone(settings)
	environment, _ := container["env"].([]any)
	for i, entry := range environment {
		switch variable, _ := entry.(map[string]any); variable["name"] {
		case "SERVICE":
			settings["SERVICE"] = fmt.Sprint(variable["value"])
		case "SYSTEM_NAMESPACE":
			settings["SYSTEM_NAMESPACE"], _, _ = unstructured.NestedString(object, "metadata", "namespace")
			container["env"] = slices.Delete(environment, i, i+1)
		}
	}
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
		"issuer=http://hallpass.example.com", "issuer=https://hallpass.example.com/", "issuer=https://Hallpass.example.com", "issuer=https://[hallpass]", "issuer=hallpass.example.com",
		"isuer=https://hallpass.example.com", "image.tag=a b", "image.digests.manager=sha256:12", "image.pullPolicy=Sometimes",
		"registry.namespace=Big", "namespaces={shop,shop}", "namespaces={sh.op}", "crds.install=perhaps", "networkPolicies.apiServerPorts={0}", "networkPolicies.metricsNamespace=",
		"monitoring.podMonitor=yes", "certManager.issuerRef.name=", "tokenserver.introspectionClientCA=Callers", "tokenserver.ownPrefixes={pods}", "tokenserver.trustedProxies={proxy.example.com}", "monitoring.labels.a=1", "manager.replicas=0", "manager.extraArgs={leader-elect}", "manager.goMemLimit=440Mi", "records.maxMemory=22.5MiB", "records.maxMemoryPerNamespace=all", "manager.resources.limits.memory=lots",
		"tokenserver.autoscaling.cpuUtilization=101", "tokenserver.service.type=ExternalName", "tokenserver.resources.claims=x",
		"manager.extraPodSpec.containers=x", "tokenserver.service.extraSpec.type=ClusterIP", "gateway.tls=None", "ingress.host=a b", "networkPolicies.dns.ports={}",
		"tokenserver.podDisruptionBudget.maxUnavailable=some", "login.url=http://login.example.com", "login.url=https://login.example.com/", "login.replicas=0", "login.namespace=Big", "login.gateway.tls=None", "login.certManager.dnsNames={a}", "manager.serviceAccount.name=A", "fixedIDs=perhaps", "nameOverride=Identity", "fullnameOverride=a b",
	} {
		if _, err := template(t, "--set", setting); err == nil || !strings.Contains(err.Error(), "schema") {
			t.Errorf("%s: %v, want a refusal by the schema", setting, err)
		}
	}
}

func TestAnIssuerMayBeAnAddress(t *testing.T) {
	streams := map[string]string{}
	for host, certified := range map[string]string{"[2001:db8::1]": `ipAddresses: ["2001:db8::1"]`, "192.0.2.1": `ipAddresses: ["192.0.2.1"]`, "id.example.com": "- id.example.com\n"} {
		rendered, err := template(t, "--set", "certManager.enabled=true", "--set-string", "issuer=https://"+host+":8443")
		must(t, err)
		for _, want := range []string{"- --issuer=https://" + host + ":8443\n", certified} {
			if strings.Count(rendered, want) == 0 {
				t.Errorf("%s: no %q", host, want)
			}
		}
		if named := strings.Contains(rendered, "ipAddresses"); named == (host == "id.example.com") {
			t.Errorf("%s: addresses in the certificate: %t", host, named)
		}
		streams[host] = rendered
	}
	everyPromisedVersionAccepts(t, streams)
}

// TestEverySettingDoesSomething gives each value of values.yaml another one and looks for it in
// what is rendered, which every promised version of Kubernetes has to accept.
func TestEverySettingDoesSomething(t *testing.T) {
	tried := map[string]struct{ set, want string }{
		"issuer":                                    {"https://id.example.com", "--issuer=https://id.example.com"},
		"internalURL":                               {"https://hallpass-tokenserver.hallpass-system.svc", "- --internal-url=https://hallpass-tokenserver.hallpass-system.svc\n"},
		"issuerCA":                                  {"issuer-ca-bundle", "- --issuer-ca=/etc/hallpass/issuer/ca.crt"},
		"tokenserver.publicCertificateSecret":       {"hallpass-public-tls", "- --public-tls-cert-file=/etc/hallpass/public/tls.crt"},
		"clusterDomain":                             {"kube.example", "$(SERVICE).hallpass-system.svc.kube.example"},
		"fullnameOverride":                          {"identity", "name: identity-tokenserver"},
		"nameOverride":                              {"identity", "name: identity-tokenserver"},
		"namespaceOverride":                         {"identity", "--system-namespace=identity\n"},
		"namespaces":                                {`["shop","orders"]`, "- --namespaces=shop,orders"},
		"image.registry":                            {"mirror.example.com/hallpass", "image: mirror.example.com/hallpass/manager:v0.1.0"},
		"image.tag":                                 {"v9.9.9", "/tokenserver:v9.9.9"},
		"image.digests.manager":                     {"sha256:" + strings.Repeat("a", 64), "/manager:v0.1.0@sha256:aaaa"},
		"image.digests.tokenserver":                 {"sha256:" + strings.Repeat("b", 64), "/tokenserver:v0.1.0@sha256:bbbb"},
		"image.digests.login":                       {"sha256:" + strings.Repeat("c", 64), "/login:v0.1.0@sha256:cccc"},
		"image.pullPolicy":                          {"Always", "imagePullPolicy: Always"},
		"image.pullSecrets":                         {`[{"name":"mirror"}]`, "imagePullSecrets:\n      - name: mirror"},
		"registry.namespace":                        {"records", "--registry-namespace=records"},
		"registry.create":                           {"false", "!kind: Namespace"},
		"records.maxMemory":                         {"11.25Mi", "- --max-records-memory=11.25Mi\n"},
		"records.maxMemoryPerNamespace":             {"4Mi", "- --max-namespace-records-memory=4Mi\n"},
		"crds.install":                              {"false", "!kind: CustomResourceDefinition"},
		"crds.keep":                                 {"false", ""},
		"rbac.create":                               {"false", "!kind: RoleBinding"},
		"userRoles":                                 {"false", "!aggregate-to-view"},
		"admissionPolicies":                         {"false", "!ValidatingAdmissionPolicy"},
		"networkPolicies.enabled":                   {"false", "!kind: NetworkPolicy"},
		"networkPolicies.metricsNamespace":          {"observability", "kubernetes.io/metadata.name: observability"},
		"networkPolicies.apiServerPorts":            {"[16443]", "port: 16443"},
		"networkPolicies.tokenServerPorts":          {"[9001]", "port: 9001"},
		"certManager.enabled":                       {"true", "- --manage-serving-certificate=false"},
		"certManager.dnsNames":                      {`["id.example.com"]`, "dnsNames:\n  - id.example.com\n  privateKey"},
		"certManager.issuerRef.group":               {"example.com", "group: example.com"},
		"certManager.issuerRef.kind":                {"Issuer", "kind: Issuer\n"},
		"certManager.issuerRef.name":                {"ours", "name: ours"},
		"tokenserver.introspectionClientCA":         {"callers-ca", "--introspection-client-ca-file=/etc/hallpass/callers/ca.crt"},
		"tokenserver.unsafePasswordGrant":           {"true", "        - --unsafe-password-grant\n"},
		"tokenserver.trustedProxies":                {`["10.0.0.0/8","fd00::7"]`, "- --trusted-proxy=10.0.0.0/8\n        - --trusted-proxy=fd00::7\n"},
		"tokenserver.ownPrefixes":                   {`["2600:1f14:abc:de00::/56"]`, "- --own-prefix=2600:1f14:abc:de00::/56\n"},
		"monitoring.podMonitor":                     {"true", "kind: PodMonitor"},
		"monitoring.prometheusRule":                 {"true", "alert: HallpassNoSigningKey"},
		"monitoring.dashboard":                      {"true", "hallpass-dashboard"},
		"monitoring.labels":                         {`{"release":"prometheus"}`, "release: prometheus"},
		"priorityClassName":                         {"system-cluster-critical", "priorityClassName: system-cluster-critical"},
		"manager.replicas":                          {"4", "replicas: 4"},
		"manager.extraArgs":                         {`["--allow-client-id"]`, `- "--allow-client-id"`},
		"manager.leaderElection.leaseDuration":      {"90s", "--leader-elect-lease-duration=90s"},
		"manager.leaderElection.renewDeadline":      {"50s", "--leader-elect-renew-deadline=50s"},
		"manager.leaderElection.retryPeriod":        {"3s", "--leader-elect-retry-period=3s"},
		"manager.resources":                         {`{"limits":{"memory":"1Gi"}}`, "memory: 1Gi"},
		"manager.goMemLimit":                        {"900MiB", "value: 900MiB"},
		"manager.podAnnotations":                    {`{"example.com/a":"b"}`, "example.com/a: b"},
		"manager.nodeSelector":                      {`{"example.com/pool":"core"}`, "example.com/pool: core"},
		"manager.tolerations":                       {`[{"key":"core"}]`, "- key: core"},
		"tokenserver.replicas":                      {"5", "replicas: 5"},
		"tokenserver.autoscaling.enabled":           {"true", "kind: HorizontalPodAutoscaler"},
		"tokenserver.autoscaling.maxReplicas":       {"20", "maxReplicas: 20"},
		"tokenserver.autoscaling.cpuUtilization":    {"55", "averageUtilization: 55"},
		"tokenserver.autoscaling.memoryUtilization": {"66", "name: memory\n      target: {type: Utilization, averageUtilization: 66}"},
		"tokenserver.autoscaling.behavior.scaleDown.stabilizationWindowSeconds": {"61", "stabilizationWindowSeconds: 61"},
		"monitoring.endpoint":                            {`{"interval":"61s"}`, "- port: ops # the token server\n    interval: 61s\n"},
		"tokenserver.plainHTTP":                          {"true", "{name: http, port: 80, targetPort: https, appProtocol: http}"},
		"tokenserver.extraArgs":                          {`["--client-rate=50"]`, `- "--client-rate=50"`},
		"tokenserver.resources":                          {`{"limits":{"memory":"1Gi"}}`, "memory: 1Gi"},
		"tokenserver.goMemLimit":                         {"800MiB", "value: 800MiB"},
		"tokenserver.snapshotSizeLimit":                  {"256Mi", "sizeLimit: 256Mi"},
		"tokenserver.certificateSecret":                  {"from-cert-manager", "- --serving-certificate-secret=from-cert-manager"},
		"tokenserver.service.type":                       {"LoadBalancer", "type: LoadBalancer"},
		"tokenserver.service.annotations":                {`{"example.com/lb":"internal"}`, "example.com/lb: internal"},
		"tokenserver.podAnnotations":                     {`{"example.com/c":"d"}`, "example.com/c: d"},
		"tokenserver.nodeSelector":                       {`{"example.com/pool":"edge"}`, "example.com/pool: edge"},
		"tokenserver.tolerations":                        {`[{"key":"edge"}]`, "- key: edge"},
		"networkPolicies.apiServerTo":                    {`[{"ipBlock":{"cidr":"10.9.8.0/28"}}]`, "cidr: 10.9.8.0/28"},
		"networkPolicies.dns.to":                         {`[{"namespaceSelector":{"matchLabels":{"kubernetes.io/metadata.name":"openshift-dns"}}}]`, "kubernetes.io/metadata.name: openshift-dns"},
		"networkPolicies.dns.ports":                      {"[5353]", "{protocol: UDP, port: 5353}"},
		"networkPolicies.managerEgress":                  {`[{"ports":[{"protocol":"TCP","port":4317}]}]`, "port: 4317"},
		"networkPolicies.tokenServerEgress":              {`[{"ports":[{"protocol":"TCP","port":4318}]}]`, "port: 4318"},
		"networkPolicies.tokenServerFrom":                {`[{"namespaceSelector":{"matchLabels":{"calls":"hallpass"}}}]`, "calls: hallpass"},
		"commonLabels":                                   {`{"example.com/team":"identity"}`, "example.com/team: identity"},
		"fixedIDs":                                       {"false", "!runAsUser"},
		"image.repositories.manager":                     {"hallpass/manager-fips", "/hallpass/manager-fips:v0.1.0"},
		"image.repositories.tokenserver":                 {"hallpass/tokenserver-fips", "/hallpass/tokenserver-fips:v0.1.0"},
		"image.repositories.login":                       {"hallpass/login-fips", "/hallpass/login-fips:v0.1.0"},
		"networkPolicies.loginEgress":                    {`[{"ports":[{"protocol":"TCP","port":8447}]}]`, "port: 8447"},
		"networkPolicies.loginFrom":                      {`[{"namespaceSelector":{"matchLabels":{"shows":"login"}}}]`, "shows: login"},
		"login.enabled":                                  {"true", "name: hallpass-login\n  namespace: hallpass-login\n"},
		"login.url":                                      {"https://signin.example.com", "--login-url=https://signin.example.com"},
		"login.namespace":                                {"signin", "--namespace=signin"},
		"login.createNamespace":                          {"false", "!kind: Namespace\nmetadata:\n  name: hallpass-login"},
		"login.replicas":                                 {"5", "replicas: 5"},
		"login.goMemLimit":                               {"100MiB", "value: 100MiB"},
		"login.certificateSecret":                        {"from-acme", "secretName: from-acme"},
		"login.certManager.enabled":                      {"true", "  - login.example.com\n"},
		"login.certManager.issuerRef.group":              {"awspca.cert-manager.io", "group: awspca.cert-manager.io"},
		"login.certManager.issuerRef.kind":               {"Issuer", "kind: Issuer"},
		"login.certManager.issuerRef.name":               {"acme", "name: acme"},
		"login.plainHTTP":                                {"true", "- --require-https=false"},
		"login.trustedProxies":                           {`["10.0.0.0/8"]`, "- --trusted-proxy=10.0.0.0/8"},
		"login.ownPrefixes":                              {`["fd00::/8"]`, "- --own-prefix=fd00::/8"},
		"login.extraArgs":                                {`["--shutdown-lag=5s"]`, `- "--shutdown-lag=5s"`},
		"login.resources":                                {`{"limits":{"memory":"1Gi"}}`, "memory: 1Gi"},
		"login.service.type":                             {"LoadBalancer", "type: LoadBalancer"},
		"login.service.annotations":                      {`{"example.com/lb":"login"}`, "example.com/lb: login"},
		"login.service.labels":                           {`{"example.com/lb":"login"}`, "example.com/lb: login"},
		"login.service.extraSpec":                        {`{"externalTrafficPolicy":"Local"}`, "externalTrafficPolicy: Local"},
		"login.ingress.enabled":                          {"true", "kind: Ingress\n"},
		"login.ingress.className":                        {"nginx", "ingressClassName: nginx"},
		"login.ingress.tlsSecret":                        {"public", "secretName: public"},
		"login.ingress.labels":                           {`{"example.com/zone":"dmz"}`, "example.com/zone: dmz"},
		"login.ingress.annotations":                      {`{"nginx.ingress.kubernetes.io/backend-protocol":"HTTPS"}`, "nginx.ingress.kubernetes.io/backend-protocol: HTTPS"},
		"login.gateway.enabled":                          {"true", "kind: TLSRoute"},
		"login.gateway.tls":                              {"Reencrypt", "wellKnownCACertificates: System"},
		"login.gateway.parentRefs":                       {`[{"name":"edge","sectionName":"tls"}]`, "sectionName: tls"},
		"login.gateway.caConfigMap":                      {"authorities", "kind: ConfigMap, name: authorities"},
		"ingress.enabled":                                {"true", "kind: Ingress\n"},
		"ingress.className":                              {"nginx", "ingressClassName: nginx"},
		"ingress.host":                                   {"tokens.example.com", "host: tokens.example.com"},
		"ingress.tlsSecret":                              {"public", "secretName: public"},
		"ingress.labels":                                 {`{"example.com/zone":"dmz"}`, "example.com/zone: dmz"},
		"ingress.annotations":                            {`{"nginx.ingress.kubernetes.io/backend-protocol":"HTTPS"}`, "nginx.ingress.kubernetes.io/backend-protocol: HTTPS"},
		"gateway.enabled":                                {"true", "kind: TLSRoute"},
		"gateway.tls":                                    {"Reencrypt", "kind: BackendTLSPolicy"},
		"gateway.parentRefs":                             {`[{"name":"edge","sectionName":"tls"}]`, "sectionName: tls"},
		"gateway.host":                                   {"tokens.example.com", "hostnames: [tokens.example.com]"},
		"gateway.tlsRouteVersion":                        {"gateway.networking.k8s.io/v1alpha2", "apiVersion: gateway.networking.k8s.io/v1alpha2"},
		"gateway.caConfigMap":                            {"authorities", "kind: ConfigMap, name: authorities"},
		"extraObjects":                                   {`[{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"{{ .Release.Name }}-extra"}}]`, "name: 'hallpass-extra'"},
		"tokenserver.extAuthz.enabled":                   {"true", "{name: ext-authz, port: 9001, targetPort: ext-authz, appProtocol: grpc}"},
		"tokenserver.extAuthz.port":                      {"9002", "--ext-authz-bind-address=:9002"},
		"tokenserver.service.labels":                     {`{"example.com/lb":"public"}`, "example.com/lb: public"},
		"tokenserver.service.extraSpec":                  {`{"ipFamilyPolicy":"PreferDualStack","externalTrafficPolicy":"Local"}`, "ipFamilyPolicy: PreferDualStack"},
		"tokenserver.service.extraPorts":                 {`[{"name":"proxy","port":8444,"targetPort":8443}]`, "port: 8444"},
		"manager.extraEnv":                               {`[{"name":"OTEL_SERVICE_NAME","value":"manager-1"}]`, "value: manager-1"},
		"manager.extraEnvFrom":                           {`[{"secretRef":{"name":"manager-env"}}]`, "name: manager-env"},
		"manager.extraVolumes":                           {`[{"name":"manager-ca","configMap":{"name":"ca"}}]`, "name: manager-ca"},
		"manager.extraVolumeMounts":                      {`[{"name":"kube-api-access","mountPath":"/manager-tmp"}]`, "mountPath: /manager-tmp"},
		"manager.initContainers":                         {`[{"name":"manager-wait","image":"busybox"}]`, "initContainers:\n        - image: busybox\n          name: manager-wait"},
		"manager.extraContainers":                        {`[{"name":"manager-mesh","image":"proxy"}]`, "name: manager-mesh"},
		"manager.podSecurityContext":                     {`{"runAsUser":100061}`, "runAsUser: 100061"},
		"manager.securityContext":                        {`{"privileged":false}`, "privileged: false"},
		"manager.serviceAccount.create":                  {"false", "!kind: ServiceAccount\nmetadata:\n  name: hallpass-manager"},
		"manager.serviceAccount.name":                    {"identity-manager", "serviceAccountName: identity-manager"},
		"manager.serviceAccount.annotations":             {`{"eks.amazonaws.com/role-arn":"manager"}`, "eks.amazonaws.com/role-arn: manager"},
		"manager.podDisruptionBudget.enabled":            {"false", "!PodDisruptionBudget\nmetadata:\n  name: hallpass-manager"},
		"manager.podDisruptionBudget.maxUnavailable":     {"25%", "maxUnavailable: 25%"},
		"manager.podDisruptionBudget.minAvailable":       {"1", "minAvailable: 1"},
		"manager.strategy":                               {`{"rollingUpdate":{"maxSurge":"7%"}}`, "maxSurge: 7%"},
		"manager.revisionHistoryLimit":                   {"0", "revisionHistoryLimit: 0"},
		"manager.minReadySeconds":                        {"61", "minReadySeconds: 61"},
		"manager.terminationGracePeriodSeconds":          {"61", "terminationGracePeriodSeconds: 61"},
		"manager.startupProbe":                           {`{"periodSeconds":61}`, "periodSeconds: 61"},
		"manager.livenessProbe":                          {`{"timeoutSeconds":61}`, "timeoutSeconds: 61"},
		"manager.readinessProbe":                         {`{"periodSeconds":61}`, "periodSeconds: 61"},
		"manager.priorityClassName":                      {"manager-first", "priorityClassName: manager-first"},
		"manager.deploymentLabels":                       {`{"example.com/tier":"manager"}`, "  labels:\n    app.kubernetes.io/component: manager\n    app.kubernetes.io/name: hallpass\n    app.kubernetes.io/part-of: hallpass\n    example.com/tier: manager\nspec"},
		"manager.serviceAccount.labels":                  {`{"azure.workload.identity/use":"manager"}`, "azure.workload.identity/use: manager"},
		"manager.deploymentAnnotations":                  {`{"reloader":"manager"}`, "reloader: manager"},
		"manager.podLabels":                              {`{"sidecar":"manager"}`, "app.kubernetes.io/part-of: hallpass\n        sidecar: manager"},
		"manager.affinity":                               {`{"podAntiAffinity":{"requiredDuringSchedulingIgnoredDuringExecution":[{"topologyKey":"manager","labelSelector":{}}]}}`, "topologyKey: manager"},
		"manager.topologySpreadConstraints":              {`[{"maxSkew":2,"topologyKey":"manager-rack","whenUnsatisfiable":"DoNotSchedule","labelSelector":{"matchLabels":{"app.kubernetes.io/name":"hallpass"}}}]`, "topologyKey: manager-rack"},
		"manager.extraPodSpec":                           {`{"hostAliases":[{"ip":"192.0.2.61","hostnames":["a"]}]}`, "ip: 192.0.2.61"},
		"tokenserver.extraEnv":                           {`[{"name":"OTEL_SERVICE_NAME","value":"tokenserver-1"}]`, "value: tokenserver-1"},
		"tokenserver.extraEnvFrom":                       {`[{"secretRef":{"name":"tokenserver-env"}}]`, "name: tokenserver-env"},
		"tokenserver.extraVolumes":                       {`[{"name":"tokenserver-ca","configMap":{"name":"ca"}}]`, "name: tokenserver-ca"},
		"tokenserver.extraVolumeMounts":                  {`[{"name":"kube-api-access","mountPath":"/tokenserver-tmp"}]`, "mountPath: /tokenserver-tmp"},
		"tokenserver.initContainers":                     {`[{"name":"tokenserver-wait","image":"busybox"}]`, "initContainers:\n        - image: busybox\n          name: tokenserver-wait"},
		"tokenserver.extraContainers":                    {`[{"name":"tokenserver-mesh","image":"proxy"}]`, "name: tokenserver-mesh"},
		"tokenserver.podSecurityContext":                 {`{"runAsUser":100062}`, "runAsUser: 100062"},
		"tokenserver.securityContext":                    {`{"privileged":false}`, "privileged: false"},
		"tokenserver.serviceAccount.create":              {"false", "!kind: ServiceAccount\nmetadata:\n  name: hallpass-tokenserver"},
		"tokenserver.serviceAccount.name":                {"identity-tokens", "serviceAccountName: identity-tokens"},
		"tokenserver.serviceAccount.annotations":         {`{"eks.amazonaws.com/role-arn":"tokenserver"}`, "eks.amazonaws.com/role-arn: tokenserver"},
		"tokenserver.podDisruptionBudget.enabled":        {"false", "!PodDisruptionBudget\nmetadata:\n  name: hallpass-tokenserver"},
		"tokenserver.podDisruptionBudget.maxUnavailable": {"25%", "maxUnavailable: 25%"},
		"tokenserver.podDisruptionBudget.minAvailable":   {"1", "minAvailable: 1"},
		"tokenserver.strategy":                           {`{"rollingUpdate":{"maxSurge":"7%"}}`, "maxSurge: 7%"},
		"tokenserver.revisionHistoryLimit":               {"0", "revisionHistoryLimit: 0"},
		"tokenserver.minReadySeconds":                    {"61", "minReadySeconds: 61"},
		"tokenserver.terminationGracePeriodSeconds":      {"62", "terminationGracePeriodSeconds: 62"},
		"tokenserver.startupProbe":                       {`{"periodSeconds":62}`, "periodSeconds: 62"},
		"tokenserver.livenessProbe":                      {`{"timeoutSeconds":62}`, "timeoutSeconds: 62"},
		"tokenserver.readinessProbe":                     {`{"periodSeconds":62}`, "periodSeconds: 62"},
		"tokenserver.priorityClassName":                  {"tokenserver-first", "priorityClassName: tokenserver-first"},
		"tokenserver.deploymentLabels":                   {`{"example.com/tier":"tokenserver"}`, "  labels:\n    app.kubernetes.io/component: tokenserver\n    app.kubernetes.io/name: hallpass\n    app.kubernetes.io/part-of: hallpass\n    example.com/tier: tokenserver\nspec"},
		"tokenserver.serviceAccount.labels":              {`{"azure.workload.identity/use":"tokenserver"}`, "azure.workload.identity/use: tokenserver"},
		"tokenserver.deploymentAnnotations":              {`{"reloader":"tokenserver"}`, "reloader: tokenserver"},
		"tokenserver.podLabels":                          {`{"sidecar":"tokenserver"}`, "app.kubernetes.io/part-of: hallpass\n        sidecar: tokenserver"},
		"tokenserver.affinity":                           {`{"podAntiAffinity":{"requiredDuringSchedulingIgnoredDuringExecution":[{"topologyKey":"tokenserver","labelSelector":{}}]}}`, "topologyKey: tokenserver"},
		"tokenserver.topologySpreadConstraints":          {`[{"maxSkew":2,"topologyKey":"tokenserver-rack","whenUnsatisfiable":"DoNotSchedule","labelSelector":{"matchLabels":{"app.kubernetes.io/name":"hallpass"}}}]`, "topologyKey: tokenserver-rack"},
		"tokenserver.extraPodSpec":                       {`{"hostAliases":[{"ip":"192.0.2.62","hostnames":["a"]}]}`, "ip: 192.0.2.62"},
	}
	content, err := os.ReadFile(filepath.Join(root, chart, "values.yaml"))
	must(t, err)
	var values map[string]any
	must(t, yaml.Unmarshal(content, &values))
	for _, name := range settings("", values) {
		// What all components have is tried for login as for the manager.
		if setting, found := strings.CutPrefix(name, "login."); found && tried[name].set == "" {
			row := tried["manager."+setting]
			row.set, row.want = strings.ReplaceAll(row.set, "manager", "login"), strings.ReplaceAll(row.want, "manager", "login")
			tried[name] = row
		}
		if tried[name].set == "" {
			t.Errorf("values.yaml has %s, which no row of this test sets", name)
		}
	}
	// What a setting takes effect with. The kinds are validated once.
	beside := map[string]string{
		"tokenserver.autoscaling.": "tokenserver.autoscaling.enabled=true", "certManager.": "certManager.enabled=true",
		"monitoring.labels": "monitoring.podMonitor=true", "monitoring.endpoint": "monitoring.podMonitor=true", "ingress.": "ingress.enabled=true,issuer=https://id.example.com",
		"gateway.": "gateway.enabled=true,issuer=https://id.example.com", "gateway.caConfigMap": "gateway.tls=Reencrypt",
		"ingress.tlsSecret": "issuerCA=public", "gateway.tls": "issuerCA=public", "gateway.caConfigMa": "issuerCA=public", "tokenserver.publicCertificateSecret": "issuerCA=public",
		"tokenserver.plainHTTP": "issuer=https://id.example.com,issuerCA=public",
		"tokenserver.extAuthz.": "tokenserver.extAuthz.enabled=true", "tokenserver.service.extraSpec": "tokenserver.service.type=LoadBalancer", "": "crds.install=false",
		"login.": withLogin, "image.digests.login": withLogin, "image.repositories.login": withLogin, "networkPolicies.login": withLogin, "login.certManager.": "login.certManager.enabled=true",
		"login.ingress.": "login.ingress.enabled=true", "login.gateway.": "login.gateway.enabled=true", "login.gateway.caConfigMap": "login.gateway.tls=Reencrypt",
		"login.service.extraSpec": "login.service.type=LoadBalancer",
	}
	ordinary := map[bool]string{}
	for kinds, setting := range map[bool]string{true: "crds.install=true", false: beside[""]} {
		var err error
		ordinary[kinds], err = template(t, "--set", setting)
		must(t, err)
	}
	rendered := map[string]string{"kustomize": kustomize(t, ofKustomize), "kustomize namespaced": kustomize(t, ofNamespaced)}
	for name, try := range tried {
		var args []string
		for prefix, setting := range beside {
			if strings.HasPrefix(name, prefix) && (prefix != "" || !strings.HasPrefix(name, "crds.")) {
				args = append(args, "--set", setting)
			}
		}
		flag, setting := "--set", name+"="+try.set
		if strings.ContainsAny(try.set[:1], "[{") {
			flag = "--set-json"
		}
		var err error
		rendered[name], err = template(t, append(args, flag, setting)...)
		if err != nil {
			t.Errorf("%s: %v", setting, err)
			continue
		}
		unwanted, without := strings.CutPrefix(try.want, "!")
		if rendered[name] == ordinary[strings.HasPrefix(name, "crds.")] || without == strings.Contains(rendered[name], unwanted) && try.want != "" {
			t.Errorf("%s does not do what it should: %q", setting, try.want)
		}
	}
	everyPromisedVersionAccepts(t, rendered)
}

var kubernetesOwn = regexp.MustCompile("^(resources|strategy|podSecurityContext|securityContext|.*Probe)$")

// settings are the paths of all leaves. A list, an empty map and what Kubernetes defines are one
// setting each.
func settings(path string, values map[string]any) []string {
	var names []string
	for key, value := range values {
		name := strings.TrimPrefix(path+"."+key, ".")
		if below, ok := value.(map[string]any); ok && len(below) > 0 && !kubernetesOwn.MatchString(key) {
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
