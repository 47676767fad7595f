// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package install_test

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/intstr"
	"sigs.k8s.io/yaml"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
)

// validators builds hack/validators for each promised version of Kubernetes but the newest, once for this machine.
var validators = sync.OnceValues(func() ([]string, error) {
	command := exec.CommandContext(context.Background(), "make", "--silent", "validators")
	command.Dir, command.Stderr = root, os.Stderr
	command.Env = append(os.Environ(), "MAKEFLAGS=")
	paths, err := command.Output()
	return strings.Fields(string(paths)), err
})

// everyPromisedVersionAccepts has the validators of each version judge streams of objects, by their names.
func everyPromisedVersionAccepts(t *testing.T, streams map[string]string) {
	t.Helper()
	dir := t.TempDir()
	var files []string
	for _, name := range slices.Sorted(maps.Keys(streams)) {
		file := filepath.Join(dir, strings.NewReplacer("/", "-", " ", "-").Replace(name)+".yaml")
		must(t, os.WriteFile(file, []byte(streams[name]), 0o600))
		files = append(files, file)
	}
	programs, err := validators()
	must(t, err)
	if len(programs) < 3 {
		t.Fatalf("validators of the versions %q, want those of three", programs)
	}
	for _, program := range programs {
		findings, _, err := run(t, "", program, files...)
		if err != nil {
			t.Errorf("Kubernetes %s: %v\n%s", filepath.Base(program), err, strings.ReplaceAll(findings, dir+"/", ""))
		}
	}
	theNewestAccepts(t, streams)
}

// theNewestAccepts has the API server of the tests judge each object that differs, without storing it.
func theNewestAccepts(t *testing.T, streams map[string]string) {
	t.Helper()
	c := share(t, ofKustomize)
	c.kubectl(t, "apply", "--server-side", "--force-conflicts", "-k", ofKustomize)
	different := map[string]bool{}
	for _, stream := range streams {
		for key, object := range objects(t, stream) {
			switch group, _, _ := strings.Cut(fmt.Sprint(object["apiVersion"]), "/"); group {
			case "cert-manager.io", "gateway.networking.k8s.io", "monitoring.coreos.com": // not served here
				continue
			}
			metadata, _ := object["metadata"].(map[string]any)
			switch metadata["namespace"] {
			case nil, system, "hallpass-registry":
				different[string(must1(json.Marshal(object))(t))] = true
			case "shop", "orders":
				c.restrict(t, fmt.Sprint(metadata["namespace"]))
				different[string(must1(json.Marshal(object))(t))] = true
			default:
				t.Logf("%s is in a namespace that is not there", key)
			}
		}
	}
	file := filepath.Join(t.TempDir(), "objects.yaml")
	must(t, os.WriteFile(file, []byte(strings.Join(slices.Sorted(maps.Keys(different)), "\n---\n")), 0o600))
	output, _ := c.kubectl(t, "apply", "--server-side", "--force-conflicts", "--dry-run=server", "--filename", file)
	if lines := strings.Count(output, "\n"); lines != len(different) {
		t.Errorf("the API server took %d of %d objects", lines, len(different))
	}
}

// refused are objects that a version of Kubernetes refuses, and what its validator says.
var refused = map[string]struct{ object, says string }{
	"a rule of a kind that calls an unknown function": {`
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: things.example.com}
spec:
  group: example.com
  names: {kind: Thing, listKind: ThingList, plural: things, singular: thing}
  scope: Namespaced
  versions:
  - name: v1
    served: true
    storage: true
    schema:
      openAPIV3Schema: {type: object, properties: {spec: {type: string, x-kubernetes-validations: [{rule: "self.younger()", message: no}]}}}`, "undeclared reference to 'younger'"},
	"an expression of an admission policy that names an unknown variable": {`
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicy
metadata: {name: policy}
spec:
  matchConstraints: {resourceRules: [{apiGroups: [""], apiVersions: [v1], operations: [CREATE], resources: [secrets]}]}
  validations: [{expression: "variables.place == ''"}]`, "undefined field 'place'"},
	"a match condition that is no condition": {`
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicy
metadata: {name: policy}
spec:
  matchConditions: [{name: mine, expression: "'a'"}]
  validations: [{expression: "true"}]`, "must evaluate to bool"},
	"a field of a pod that the version does not know": {`
apiVersion: apps/v1
kind: Deployment
metadata: {name: deployment}
spec: {template: {spec: {youngField: 1}}}`, `unknown field "youngField"`},
	"a kind that no validator is for": {"apiVersion: example.com/v1\nkind: Thing\nmetadata: {name: thing}", "no type for this kind"},
}

func TestTheValidatorsRefuseWhatAVersionDoesNotTake(t *testing.T) {
	programs, err := validators()
	must(t, err)
	for name, of := range refused {
		file := filepath.Join(t.TempDir(), "refused.yaml")
		must(t, os.WriteFile(file, []byte(of.object), 0o600))
		for _, program := range programs {
			if findings, _, err := run(t, "", program, file); err == nil || !strings.Contains(findings, of.says) {
				t.Errorf("%s, Kubernetes %s: %v, %q, want %q", name, filepath.Base(program), err, findings, of.says)
			}
		}
	}
}

// TestThePromisedVersionsAreThoseThatAreTested: the control plane of the tests is the newest.
func TestThePromisedVersionsAreThoseThatAreTested(t *testing.T) {
	text := func(file string) string {
		t.Helper()
		content, err := os.ReadFile(filepath.Join(root, file))
		must(t, err)
		return string(content)
	}
	minor := func(module, file string) int {
		t.Helper()
		found := regexp.MustCompile(`(?m)^\t` + module + ` v[01]\.([0-9]+)\.`).FindStringSubmatch(text(file))
		if found == nil {
			t.Fatalf("%s does not require %s", file, module)
		}
		number, err := strconv.Atoi(found[1])
		must(t, err)
		return number
	}
	newest := minor("k8s.io/kubernetes", "hack/controlplane/go.mod")
	judged := []int{minor("k8s.io/apiserver", "hack/validators/go.mod")}
	files, err := filepath.Glob(filepath.Join(root, "hack/validators/v1.*.mod"))
	must(t, err)
	for _, file := range files {
		number := minor("k8s.io/apiserver", strings.TrimPrefix(file, root+"/"))
		if filepath.Base(file) != fmt.Sprintf("v1.%d.mod", number) {
			t.Errorf("%s has the modules of Kubernetes 1.%d", file, number)
		}
		judged = append(judged, number)
	}
	slices.Sort(judged)
	if diff := cmp.Diff([]int{newest - 3, newest - 2, newest - 1}, judged); diff != "" {
		t.Errorf("the validators are of (-promised +built):\n%s", diff)
	}
	var meta struct {
		KubeVersion string `json:"kubeVersion"`
	}
	must(t, yaml.Unmarshal([]byte(text(chart+"/Chart.yaml")), &meta))
	if want := fmt.Sprintf(">=1.%d.0-0", newest-3); meta.KubeVersion != want {
		t.Errorf("the chart takes Kubernetes %s, want %s", meta.KubeVersion, want)
	}
	if promise := fmt.Sprintf("Kubernetes 1.%d to 1.%d", newest-3, newest); !strings.Contains(text("docs/platforms.md"), promise) {
		t.Errorf("docs/platforms.md does not promise %s", promise)
	}
}

// TestAnUpgradeThatReusesTheValuesOfAnEarlierChartRenders renders today's templates with the values.yaml of each earlier commit, which is
// what `helm upgrade --reuse-values` does: a value that is newer is missing. They install the same
// objects.
func TestAnUpgradeThatReusesTheValuesOfAnEarlierChartRenders(t *testing.T) {
	commits, _, err := run(t, "", "git", "log", "--format=%h", "--", chart+"/values.yaml")
	if err != nil {
		t.Skip("this is no clone of the repository: ", err)
	}
	ordinary, err := template(t)
	must(t, err)
	// Each part of the values may be missing, and not only what was in some commit.
	without := func(drop func(map[string]any)) string {
		var values map[string]any
		content, err := os.ReadFile(filepath.Join(root, chart, "values.yaml"))
		must(t, err)
		must(t, yaml.Unmarshal(content, &values))
		drop(values)
		return string(must1(yaml.Marshal(values))(t))
	}
	earlier := map[string]string{
		"none": "{}",
		"a component with less": without(func(v map[string]any) {
			v["tokenserver"] = map[string]any{"replicas": 3}
			delete(v, "manager")
		}),
	}
	for commit := range strings.FieldsSeq(commits) {
		earlier[commit], _, err = run(t, "", "git", "show", commit+":"+chart+"/values.yaml")
		must(t, err)
	}
	for name, values := range earlier {
		copied := copyOfChart(t)
		must(t, os.WriteFile(filepath.Join(copied, "values.yaml"), []byte(values), 0o600))
		rendered, _, err := helm(t, "", "template", "hallpass", copied, "--namespace", system)
		if err != nil {
			t.Errorf("with the values of %s: %v", name, err)
			continue
		}
		want, got := objects(t, ordinary), objects(t, rendered)
		if slices.Contains(strings.Fields(commits), name) { // its defaults may have been others
			want, got = namesOf(want), namesOf(got)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("with the values of %s (-today +then):\n%s", name, diff)
		}
	}
}

func namesOf(all map[string]map[string]any) map[string]map[string]any {
	names := map[string]map[string]any{}
	for name := range all {
		names[name] = nil
	}
	return names
}

var yamlBlock = regexp.MustCompile("(?ms)^```yaml\n# (values for [^\n]*|kustomization.yaml)\n(.*?)^```$")

// TestTheValuesOfEachPlatformRender renders the blocks of docs/platforms.md and docs/exposure.md; every promised version of Kubernetes
// has to accept what they install.
func TestTheValuesOfEachPlatformRender(t *testing.T) {
	rendered := map[string]string{}
	for _, page := range []string{"platforms", "exposure"} {
		content, err := os.ReadFile(filepath.Join(root, "docs", page+".md"))
		must(t, err)
		for _, block := range yamlBlock.FindAllStringSubmatch(string(content), -1) {
			name, text := block[1], block[2]
			if name == "kustomization.yaml" {
				dir := filepath.Join(t.TempDir(), "own")
				must(t, os.MkdirAll(dir, 0o755))
				must(t, os.CopyFS(filepath.Join(filepath.Dir(dir), "config"), os.DirFS(filepath.Join(root, "config"))))
				must(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600))
				rendered["the kustomization of "+page] = kustomize(t, dir)
				continue
			}
			file := filepath.Join(t.TempDir(), "values.yaml")
			must(t, os.WriteFile(file, []byte(text), 0o600))
			rendered[name], err = template(t, "--values", file)
			must(t, err)
		}
	}
	if len(rendered) < 12 {
		t.Fatalf("%d blocks; does this test still read the pages right?", len(rendered))
	}
	for _, name := range []string{"values for OpenShift", "the kustomization of platforms"} {
		if ids := regexp.MustCompile(`(runAsUser|runAsGroup|fsGroup): .*`).FindAllString(rendered[name], -1); len(ids) > 0 {
			t.Errorf("%s has %q, which SecurityContextConstraints refuse", name, ids)
		}
		if !strings.Contains(rendered[name], "5353") || !strings.Contains(rendered[name], "openshift-dns") {
			t.Errorf("%s does not let DNS out", name)
		}
	}
	everyPromisedVersionAccepts(t, rendered)
}

// TestNetworkPoliciesNamePortsByNumber: plugins such as OVN-Kubernetes know no names, and the VPC CNI looks for them in the caller's pod.
func TestNetworkPoliciesNamePortsByNumber(t *testing.T) {
	rendered, err := template(t)
	must(t, err)
	for how, stream := range map[string]string{"helm": rendered, "kustomize": kustomize(t, ofKustomize)} {
		policies, ports := 0, map[int32]bool{}
		for key, object := range objects(t, stream) {
			if object["kind"] != "NetworkPolicy" {
				continue
			}
			policies++
			var policy networkingv1.NetworkPolicy
			must(t, runtime.DefaultUnstructuredConverter.FromUnstructured(object, &policy))
			var named []networkingv1.NetworkPolicyPort
			for _, rule := range policy.Spec.Ingress {
				named = append(named, rule.Ports...)
			}
			for _, rule := range policy.Spec.Egress {
				named = append(named, rule.Ports...)
			}
			for _, port := range named {
				if port.Port.Type != intstr.Int {
					t.Errorf("%s: %s has the port %s", how, key, port.Port)
				}
				ports[port.Port.IntVal] = true
			}
		}
		if policies != 4 || !ports[8443] || !ports[8080] || !ports[8081] {
			t.Errorf("%s: %d NetworkPolicies with the ports %v", how, policies, ports)
		}
	}
}

// TestTheNotesCanBePasted reads what Helm prints after an installation as a shell reads it.
func TestTheNotesCanBePasted(t *testing.T) {
	output, _, err := helm(t, "", "install", "hallpass", chart, "--namespace", system, "--dry-run=client", "--set", "crds.install=false")
	must(t, err)
	_, notes, found := strings.Cut(output, "NOTES:\n")
	_, commands, pasted := strings.Cut(notes, "can be pasted")
	_, commands, ends := strings.Cut(commands, "\n\n")
	if !found || !pasted || !ends {
		t.Fatalf("the notes are %q", notes)
	}
	// The commands run with tools that only record what they are given.
	desk := t.TempDir()
	_, complaints, err := run(t, "", "bash", "-euc", `cd `+desk+`
kubectl() { echo "kubectl $*" >> calls; case "$*" in (*apply*) cat > applied;; (*jsonpath*|*go-template*) printf value;; esac; }
curl() { echo "curl $*" >> calls; echo '{"access_token":"a"}'; }
sleep() { :; }
kill() { :; }
`+commands)
	if err != nil || complaints != "" {
		t.Fatalf("%v: %s\n%s", err, complaints, commands)
	}
	calls := string(must1(os.ReadFile(filepath.Join(desk, "calls")))(t))
	for _, want := range []string{"rollout status deployment hallpass-tokenserver", "--for=condition=Ready oauth2clients.hallpass.dev/first",
		"--user value:value --data grant_type=client_credentials https://hallpass-tokenserver.hallpass-system.svc/oauth2/token"} {
		if !strings.Contains(calls, want) {
			t.Errorf("the commands do not call %q: %s", want, calls)
		}
	}
	var client v1alpha1.OAuth2Client
	must(t, yaml.UnmarshalStrict(must1(os.ReadFile(filepath.Join(desk, "applied")))(t), &client))
	if client.Name != "first" {
		t.Errorf("the client is %+v", client)
	}
}
