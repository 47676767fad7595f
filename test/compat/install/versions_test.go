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
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/yaml"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/test/kit/controlplane"
)

// validators builds hack/validators for each promised version of Kubernetes but the newest, once
// for this machine.
var validators = sync.OnceValues(func() ([]string, error) {
	command := exec.CommandContext(context.Background(), "make", "--silent", "validators")
	command.Dir, command.Stderr = root, os.Stderr
	command.Env = append(os.Environ(), "MAKEFLAGS=")
	paths, err := command.Output()
	return strings.Fields(string(paths)), err
})

// everyPromisedVersionAccepts has the validators of each version validate streams of objects, by
// their names. What several streams have is validated in the first of them.
func everyPromisedVersionAccepts(t *testing.T, streams map[string]string) {
	t.Helper()
	dir := t.TempDir()
	var files []string
	seen := map[string]bool{}
	for _, name := range slices.Sorted(maps.Keys(streams)) {
		file := filepath.Join(dir, strings.NewReplacer("/", "-", " ", "-").Replace(name)+".yaml")
		unseen := slices.DeleteFunc(documents(t, streams[name]), func(document string) bool {
			defer func() { seen[document] = true }()
			return seen[document]
		})
		must(t, os.WriteFile(file, []byte(strings.Join(unseen, "\n---\n")), 0o600))
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

// theNewestAccepts has the API server of the tests validate each object that differs, without
// storing it.
func theNewestAccepts(t *testing.T, streams map[string]string) {
	t.Helper()
	c := share(t, ofKustomize)
	c.kubectl(t, "apply", "--server-side", "--force-conflicts", "-k", ofKustomize)
	serveForeignKinds(t, c)
	different := map[string]bool{}
	for _, stream := range streams {
		for key, object := range objects(t, stream) {
			// which the Gateway API does not serve any more
			if object["apiVersion"] == "gateway.networking.k8s.io/v1alpha2" {
				continue
			}
			metadata, _ := object["metadata"].(map[string]any)
			switch metadata["namespace"] {
			case nil, system, "hallpass-registry":
				different[string(must1(json.Marshal(object))(t))] = true
			case "shop", "orders", loginNamespace:
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

// foreignKinds are the CustomResourceDefinitions of other projects: files of modules in the version
// that hack/foreign requires.
var foreignKinds = []struct {
	module string
	// requires is the module of the same release whose version hack/foreign requires, if that
	// is another one: a controller of Flux is a program, which no package can import.
	requires string
	files    []string
}{
	{module: "sigs.k8s.io/gateway-api", files: []string{"config/crd/standard/gateway.networking.k8s.io_backendtlspolicies.yaml",
		"config/crd/standard/gateway.networking.k8s.io_httproutes.yaml", "config/crd/standard/gateway.networking.k8s.io_tlsroutes.yaml"}},
	{module: "github.com/argoproj/argo-cd/v3", files: []string{"manifests/crds/application-crd.yaml"}},
	{module: "github.com/cert-manager/cert-manager", files: []string{"deploy/crds/cert-manager.io_certificates.yaml"}},
	{module: "github.com/fluxcd/helm-controller", requires: "github.com/fluxcd/helm-controller/api",
		files: []string{"config/crd/bases/helm.toolkit.fluxcd.io_helmreleases.yaml"}},
	{module: "github.com/fluxcd/source-controller", requires: "github.com/fluxcd/source-controller/api",
		files: []string{"config/crd/bases/source.toolkit.fluxcd.io_gitrepositories.yaml"}},
	{module: "github.com/prometheus-operator/prometheus-operator", files: []string{
		"example/prometheus-operator-crd/monitoring.coreos.com_podmonitors.yaml", "example/prometheus-operator-crd/monitoring.coreos.com_prometheusrules.yaml"}},
}

// servesForeignKinds are the clusters that have the kinds of other projects; no test removes them.
var servesForeignKinds = map[*controlplane.ControlPlane]bool{}

// serveForeignKinds has the API server validate the objects of other projects by their schemas.
func serveForeignKinds(t *testing.T, c *cluster) {
	t.Helper()
	if servesForeignKinds[c.ControlPlane] {
		return
	}
	goIn := func(args ...string) []byte {
		command := exec.CommandContext(t.Context(), "go", args...)
		command.Dir, command.Stderr = filepath.Join(root, "hack", "foreign"), os.Stderr
		return must1(command.Output())(t)
	}
	apply := []string{"apply", "--server-side", "--force-conflicts"}
	for _, of := range foreignKinds {
		module := of.module
		if of.requires != "" {
			module += "@" + strings.TrimSpace(string(goIn("list", "-m", "-f", "{{.Version}}", of.requires)))
		}
		var downloaded struct{ Dir string }
		must(t, json.Unmarshal(goIn("mod", "download", "-json", module), &downloaded))
		for _, file := range of.files {
			apply = append(apply, "--filename", filepath.Join(downloaded.Dir, file))
		}
	}
	c.kubectl(t, apply...)
	c.kubectl(t, "wait", "--for=condition=Established", "--timeout=1m", "customresourcedefinitions", "--all")
	servesForeignKinds[c.ControlPlane] = true
}

// TestTheSchemasOfOtherProjectsRefuse shows that their kinds are validated.
func TestTheSchemasOfOtherProjectsRefuse(t *testing.T) {
	c := share(t, ofKustomize)
	c.kubectl(t, "apply", "--server-side", "--force-conflicts", "-k", ofKustomize)
	serveForeignKinds(t, c)
	for kind, object := range map[string]string{
		"Certificate":      "apiVersion: cert-manager.io/v1\nkind: Certificate\nmetadata: {name: a, namespace: hallpass-system}\nspec: {secretName: a}\n",
		"TLSRoute":         "apiVersion: gateway.networking.k8s.io/v1\nkind: TLSRoute\nmetadata: {name: a, namespace: hallpass-system}\nspec: {hostnames: [192.0.2.1], rules: [{backendRefs: [{name: a, port: 443}]}]}\n",
		"HTTPRoute":        "apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {name: a, namespace: hallpass-system}\nspec: {rules: [{backendRefs: [{name: a}]}]}\n",
		"BackendTLSPolicy": "apiVersion: gateway.networking.k8s.io/v1\nkind: BackendTLSPolicy\nmetadata: {name: a, namespace: hallpass-system}\nspec: {targetRefs: [{group: '', kind: Service, name: a}], validation: {hostname: '*.b'}}\n",
		"PodMonitor":       "apiVersion: monitoring.coreos.com/v1\nkind: PodMonitor\nmetadata: {name: a, namespace: hallpass-system}\nspec: {selector: {}, podMetricsEndpoints: [{interval: often}]}\n",
		"PrometheusRule":   "apiVersion: monitoring.coreos.com/v1\nkind: PrometheusRule\nmetadata: {name: a, namespace: hallpass-system}\nspec: {groups: [{name: a, interval: often}]}\n",
		"Application":      "apiVersion: argoproj.io/v1alpha1\nkind: Application\nmetadata: {name: a, namespace: hallpass-system}\nspec: {project: a, source: {repoURL: a}}\n",
		"GitRepository":    "apiVersion: source.toolkit.fluxcd.io/v1\nkind: GitRepository\nmetadata: {name: a, namespace: hallpass-system}\nspec: {url: https://a, interval: often}\n",
		"HelmRelease":      "apiVersion: helm.toolkit.fluxcd.io/v2\nkind: HelmRelease\nmetadata: {name: a, namespace: hallpass-system}\nspec: {interval: 1h, chart: {spec: {chart: a}}}\n",
	} {
		file := filepath.Join(t.TempDir(), "object.yaml")
		must(t, os.WriteFile(file, []byte(object), 0o600))
		if _, _, err := run(t, c.Kubeconfig(), c.Kubectl(), "apply", "--server-side", "--dry-run=server", "--filename", file); err == nil || !strings.Contains(err.Error(), "is invalid") {
			t.Errorf("%s: %v, want it refused", kind, err)
		}
	}
}

// refused are objects that a version of Kubernetes refuses, and the message of its validator.
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

// TestAnUpgradeThatReusesTheValuesOfAnEarlierChartRenders renders today's templates with the
// values.yaml of each earlier commit, which is what `helm upgrade --reuse-values` does: a value
// that is newer is missing. They install the same objects.
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
		// its defaults may have been others
		if slices.Contains(strings.Fields(commits), name) {
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

var yamlBlock = regexp.MustCompile("(?ms)^```yaml\n# (values for [^\n]*|kustomization.yaml[^\n]*)\n(.*?)^```$")

// TestTheValuesOfEachPlatformRender renders the blocks of docs/platforms.md and docs/exposure.md;
// every promised version of Kubernetes has to accept what they install.
func TestTheValuesOfEachPlatformRender(t *testing.T) {
	rendered := map[string]string{}
	for _, page := range []string{"platforms", "exposure", "login"} {
		content, err := os.ReadFile(filepath.Join(root, "docs", page+".md"))
		must(t, err)
		for _, block := range yamlBlock.FindAllStringSubmatch(string(content), -1) {
			name, text := block[1], block[2]
			if purpose, found := strings.CutPrefix(name, "kustomization.yaml"); found {
				dir := filepath.Join(t.TempDir(), "own")
				must(t, os.MkdirAll(dir, 0o755))
				must(t, os.CopyFS(filepath.Join(filepath.Dir(dir), "config"), os.DirFS(filepath.Join(root, "config"))))
				must(t, os.WriteFile(filepath.Join(dir, "kustomization.yaml"), []byte(text), 0o600))
				rendered["the kustomization of "+page+purpose] = kustomize(t, dir)
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
	for _, name := range []string{"values for login", "the kustomization of login with login"} {
		if !strings.Contains(rendered[name], "--login-account=hallpass-login/hallpass-login\n") {
			t.Errorf("docs/login.md has no %s that installs login", name)
		}
	}
	for _, platform := range []string{"kind, k3d and minikube", "k3s", "EKS", "GKE, Autopilot", "AKS", "OpenShift"} {
		if !slices.ContainsFunc(slices.Collect(maps.Keys(rendered)), func(name string) bool { return strings.HasPrefix(name, "values for "+platform) }) {
			t.Errorf("there are no values for %s", platform)
		}
	}
	for _, name := range []string{"values for OpenShift", "the kustomization of platforms"} {
		if ids := regexp.MustCompile(`(runAsUser|runAsGroup|fsGroup): .*`).FindAllString(rendered[name], -1); len(ids) > 0 {
			t.Errorf("%s has %q, which SecurityContextConstraints refuse", name, ids)
		}
		if !strings.Contains(rendered[name], "ipFamilyPolicy: PreferDualStack") && name == "the kustomization of platforms" {
			t.Error("the kustomization does not make the Service dual-stack")
		}
		if !strings.Contains(rendered[name], "5353") || !strings.Contains(rendered[name], "openshift-dns") {
			t.Errorf("%s does not let DNS out", name)
		}
	}
	trustedAtTheIssuer(t, rendered)
	reachable(t, rendered)
	everyPromisedVersionAccepts(t, rendered)
}

// trustedAtTheIssuer: where TLS ends outside, or there are two certificates, ca.crt is not what the
// token server's own certificate is verified by.
func trustedAtTheIssuer(t *testing.T, rendered map[string]string) {
	t.Helper()
	public := map[string]bool{
		"values for ingress-nginx that ends TLS and encrypts again": true, "values for a Gateway that ends TLS and encrypts again": true,
		"values for k3s behind its Traefik": true, "values for a proxy that ends TLS in front of plain HTTP": true, "the kustomization of exposure for plain HTTP": true,
		"values for a public certificate for the issuer and the manager's for the Service": true,
	}
	for name := range public {
		if rendered[name] == "" {
			t.Errorf("no page has %s", name)
		}
	}
	for name, stream := range rendered {
		if got := strings.Contains(stream, "- --issuer-ca=public\n"); got != public[name] {
			t.Errorf("%s: callers trust public CAs at the issuer: %t, want %t", name, got, public[name])
		}
	}
	for _, name := range []string{"values for a proxy that ends TLS in front of plain HTTP", "the kustomization of exposure for plain HTTP"} {
		var service corev1.Service
		must(t, runtime.DefaultUnstructuredConverter.FromUnstructured(objects(t, rendered[name])["Service hallpass-system/hallpass-tokenserver"], &service))
		port := service.Spec.Ports[0]
		if len(service.Spec.Ports) != 1 || port.Port != 80 || ptr.Deref(port.AppProtocol, "") != "http" || !strings.Contains(rendered[name], "--require-https=false") {
			t.Errorf("%s: the Service has the ports %+v", name, service.Spec.Ports)
		}
	}
}

// reachable compares the ports and peers of the NetworkPolicies with what a page has about them.
func reachable(t *testing.T, rendered map[string]string) {
	t.Helper()
	const in, out = "from", "to"
	for name, want := range map[string][]string{
		"values for kind, k3d and minikube": {
			"manager: 443,6443/TCP to everywhere", "manager: 53/UDP,53/TCP to kube-system", "manager: 8080/TCP from monitoring",
			"tokenserver: 443,6443/TCP to everywhere", "tokenserver: 53/UDP,53/TCP to kube-system", "tokenserver: 8081/TCP from monitoring", "tokenserver: 8443/TCP from everywhere",
		},
		"values for OpenShift": {
			"manager: 443,6443/TCP to everywhere", "manager: 5353/UDP,5353/TCP to openshift-dns", "manager: 8080/TCP from openshift-user-workload-monitoring",
			"tokenserver: 443,6443/TCP to everywhere", "tokenserver: 5353/UDP,5353/TCP to openshift-dns",
			"tokenserver: 8081/TCP from openshift-user-workload-monitoring", "tokenserver: 8443/TCP from everywhere",
		},
		"the kustomization of platforms": {
			"manager: 5353/UDP,5353/TCP to openshift-dns", "manager: 6443/TCP to everywhere", "manager: 8080/TCP from openshift-user-workload-monitoring",
			"tokenserver: 4318/TCP to tracing", "tokenserver: 5353/UDP,5353/TCP to openshift-dns", "tokenserver: 6443/TCP to everywhere",
			"tokenserver: 8081/TCP from openshift-user-workload-monitoring", "tokenserver: 8443/TCP from everywhere",
		},
		"the kustomization of platforms for a restricted network": {
			"manager: 4318/TCP to tracing", "manager: 443,6443/TCP to 10.0.0.0/28", "manager: 53/UDP,53/TCP to kube-system", "manager: 8080/TCP from monitoring",
			"tokenserver: 443,6443/TCP to 10.0.0.0/28", "tokenserver: 53/UDP,53/TCP to kube-system", "tokenserver: 8081/TCP from monitoring",
			"tokenserver: 8443/TCP from calls-hallpass=true",
		},
		"values for traces": {
			"manager: 443,6443/TCP to everywhere", "manager: 53/UDP,53/TCP to kube-system", "manager: 8080/TCP from monitoring", "tokenserver: 4318/TCP to monitoring",
			"tokenserver: 443,6443/TCP to everywhere", "tokenserver: 53/UDP,53/TCP to kube-system", "tokenserver: 8081/TCP from monitoring", "tokenserver: 8443/TCP from everywhere",
		},
	} {
		var got []string
		for _, component := range []string{"manager", "tokenserver"} {
			var policy networkingv1.NetworkPolicy
			must(t, runtime.DefaultUnstructuredConverter.FromUnstructured(objects(t, rendered[name])["NetworkPolicy hallpass-system/hallpass-"+component], &policy))
			for _, rule := range policy.Spec.Ingress {
				got = append(got, component+": "+pair(rule.Ports, in, rule.From))
			}
			for _, rule := range policy.Spec.Egress {
				got = append(got, component+": "+pair(rule.Ports, out, rule.To))
			}
		}
		slices.Sort(got)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

// pair is a rule of a NetworkPolicy in words.
func pair(ports []networkingv1.NetworkPolicyPort, direction string, peers []networkingv1.NetworkPolicyPeer) string {
	text := ""
	for i, port := range ports {
		text += port.Port.String()
		if i+1 < len(ports) && *ports[i+1].Protocol == *port.Protocol {
			text += ","
		} else if text += "/" + string(*port.Protocol); i+1 < len(ports) {
			text += ","
		}
	}
	var names []string
	for _, peer := range peers {
		switch {
		case peer.IPBlock != nil:
			names = append(names, peer.IPBlock.CIDR)
		case peer.NamespaceSelector != nil:
			for label, value := range peer.NamespaceSelector.MatchLabels {
				names = append(names, strings.TrimPrefix(label+"="+value, "kubernetes.io/metadata.name="))
			}
		}
	}
	if len(peers) == 0 {
		names = []string{"everywhere"}
	}
	return text + " " + direction + " " + strings.Join(names, ",")
}

// TestNetworkPoliciesNamePortsByNumber: plugins such as OVN-Kubernetes know no names, and the VPC
// CNI looks for them in the caller's pod.
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

// TestTheNotesCanBePasted reads what Helm prints after an installation as a shell reads it. curl
// asks the address that a port-forward leads to by the name that its certificate has, and trusts
// the CA of that one.
func TestTheNotesCanBePasted(t *testing.T) {
	const secret, configMap, service = "of the Secret", "of the ConfigMap", "https://hallpass-tokenserver.hallpass-system.svc"
	for values, c := range map[string]struct {
		url, ca string
		// without has the client's Secret lack ca.crt.
		without bool
	}{
		"crds.install=false":                                      {url: service, ca: secret},
		"issuer=https://id.example.com":                           {url: "https://id.example.com", ca: secret},
		"issuer=https://id.example.com,issuerCA=bundle":           {url: "https://id.example.com", ca: secret},
		"issuer=https://id.example.com,issuerCA=public":           {url: "https://id.example.com", ca: configMap, without: true},
		"issuerCA=public,tokenserver.publicCertificateSecret=own": {url: service, without: true},
		"issuer=https://id.example.com,issuerCA=public,tokenserver.publicCertificateSecret=own,internalURL=" + service: {url: service, ca: secret},
		"issuer=https://id.example.com,issuerCA=bundle,tokenserver.publicCertificateSecret=own,internalURL=" + service: {url: "https://id.example.com", ca: secret},
		"certManager.enabled=true":                                                 {url: service, ca: secret},
		"certManager.enabled=true,issuer=https://id.example.com":                   {url: "https://id.example.com", without: true},
		"tokenserver.certificateSecret=own":                                        {url: service, without: true},
		"tokenserver.plainHTTP=true,issuer=https://id.example.com,issuerCA=public": {url: "http://127.0.0.1:8443", without: true},
	} {
		t.Run(values, func(t *testing.T) {
			calls, trusted, applied := pasted(t, notesOf(t, chart, values), c.without)
			for _, want := range []string{"rollout status deployment hallpass-tokenserver", "--for=condition=Ready oauth2clients.hallpass.dev/first",
				"--user value:value --data grant_type=client_credentials " + c.url + "/oauth2/token"} {
				if !strings.Contains(calls, want) {
					t.Errorf("the commands do not call %q: %s", want, calls)
				}
			}
			if strings.Contains(calls, "--cacert ca.crt") != (c.ca != "") || c.ca != "" && !strings.Contains(trusted, c.ca) {
				t.Errorf("curl trusts %q, want %q: %s", trusted, c.ca, calls)
			}
			if plain := strings.HasPrefix(c.url, "http:"); plain == strings.Contains(calls, "--connect-to ::127.0.0.1:8443") || plain != strings.Contains(calls, " 8443:80\n") {
				t.Errorf("curl does not ask the port-forward: %s", calls)
			}
			var client v1alpha1.OAuth2Client
			must(t, yaml.UnmarshalStrict([]byte(applied), &client))
			if client.Name != "first" {
				t.Errorf("the client is %+v", client)
			}
		})
	}
}

// pasted runs the commands of the notes with tools that only record what they are given.
func pasted(t *testing.T, notes string, without bool) (calls, trusted, applied string) {
	t.Helper()
	_, commands, found := strings.Cut(notes, "can be pasted")
	_, commands, ends := strings.Cut(commands, "\n\n")
	if !found || !ends {
		t.Fatalf("the notes are %q", notes)
	}
	desk := t.TempDir()
	_, complaints, err := run(t, "", "bash", "-euc", fmt.Sprintf(`cd %s
without=%t
kubectl() { echo "kubectl $*" >> calls; case "$*" in (*apply*) cat > applied;; (*secret*ca.crt*) ! $without && echo "BEGIN of the Secret";;
(*configmap*) echo "BEGIN of the ConfigMap";; (*go-template*) printf value;; esac; }
curl() { echo "curl $*" >> calls; echo '{"access_token":"a"}'; }
kill() { :; }
`, desk, without)+commands)
	if err != nil || complaints != "" {
		t.Fatalf("%v: %s\n%s", err, complaints, commands)
	}
	read := func(name string) string {
		content, _ := os.ReadFile(filepath.Join(desk, name))
		return string(content)
	}
	return read("calls"), read("ca.crt"), read("applied")
}
