// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package install_test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/hallpass-dev/hallpass/test/kit/controlplane"
)

// own is a folder with a kustomization beside the repository's config, and with further files.
func own(t *testing.T, kustomization string, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	must(t, os.CopyFS(filepath.Join(dir, "config"), os.DirFS(filepath.Join(root, "config"))))
	mine := filepath.Join(dir, "own")
	must(t, os.Mkdir(mine, 0o755))
	head := "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\n"
	must(t, os.WriteFile(filepath.Join(mine, "kustomization.yaml"), []byte(head+kustomization), 0o600))
	for name, text := range files {
		must(t, os.WriteFile(filepath.Join(mine, name), []byte(text), 0o600))
	}
	return mine
}

// boundAccounts is how an admission policy names whom it binds.
var boundAccounts = regexp.MustCompile(`^!?request\.userInfo\.username\.startsWith\('(.*)'\)$`)

// TestThePoliciesBindAnAccountThatAPatchRenames: kustomize renames the account in the Deployment
// and in the bindings of roles, and no expression of a policy.
func TestThePoliciesBindAnAccountThatAPatchRenames(t *testing.T) {
	all := objects(t, kustomize(t, own(t, `resources: [../config/default]
patches:
- target: {kind: ServiceAccount, name: hallpass-manager}
  patch: "- {op: replace, path: /metadata/name, value: operator}"
  options: {allowNameChange: true}
`, nil)))
	account, _, err := unstructured.NestedString(all["Deployment hallpass-system/hallpass-manager"], "spec", "template", "spec", "serviceAccountName")
	must(t, err)
	if account != "operator" {
		t.Fatalf("the manager runs as %q", account)
	}
	for _, name := range []string{"hallpass-manager-secrets", "hallpass-manager-configmaps", "hallpass-usage-reports"} {
		conditions, _, err := unstructured.NestedSlice(all["ValidatingAdmissionPolicy "+name], "spec", "matchConditions")
		must(t, err)
		condition, _ := conditions[0].(map[string]any)
		matches := boundAccounts.FindStringSubmatch(fmt.Sprint(condition["expression"]))
		if matches == nil || !strings.HasPrefix("system:serviceaccount:hallpass-system:"+account, matches[1]) {
			t.Errorf("%s does not know the manager's account: %v", name, conditions)
		}
	}
}

// TestEveryComponentFollowsARename looks for the old names in what kustomize makes of a component
// with new ones.
func TestEveryComponentFollowsARename(t *testing.T) {
	const settings = loginSettings
	// The manager makes these under names that stay, and hallpass-public-tls is the
	// administrator's.
	stays := strings.NewReplacer("hallpass-tokenserver-tls", "", "hallpass-ca", "", "hallpass-public-tls", "", "hallpass-dev", "", "corp-hallpass-", "corp-",
		"resourceNames:\n  - hallpass-manager\n", "")
	for component := range components {
		for how, rename := range map[string]struct {
			kustomization string
			old           *regexp.Regexp
		}{
			"a prefix and a suffix": {
				"namePrefix: corp-\nnameSuffix: -blue\nresources: [../config/default]\ncomponents: [" + listed(component) + "]\n",
				regexp.MustCompile(`.*(hallpass-(tokenserver|manager|settings)|corp-(tokenserver|manager)(-secrets|-configmaps)?([^-a-z]|$)).*`),
			},
			"other namespaces": {
				"resources: [../config/default, names.yaml]\ncomponents: [" + listed(component) + ", ../config/renamed]\n",
				regexp.MustCompile(`.*hallpass-(system|registry).*`),
			},
		} {
			stream := kustomize(t, own(t, rename.kustomization+settings, map[string]string{"names.yaml": names}))
			objects(t, stream)
			if left := rename.old.FindAllString(stays.Replace(stream), -1); len(left) > 0 {
				t.Errorf("%s with %s still has:\n%s", component, how, strings.Join(left, "\n"))
			}
			if strings.Contains(stream, "$(HOSTNAME") || strings.Contains(stream, "$(CERTIFICATE") || strings.Contains(stream, "$(LOGIN_S") || strings.Contains(stream, "$(LOGIN_T") || strings.Contains(stream, "$(LOGIN_A") {
				t.Errorf("%s with %s has a variable without a value", component, how)
			}
		}
	}
}

// names are other ones for the two namespaces.
const names = `apiVersion: v1
kind: ConfigMap
metadata: {name: hallpass-names, annotations: {config.kubernetes.io/local-config: "true"}}
data: {system: identity, registry: identity-registry}
`

// TestAPrefixAndASuffixOfNamesLoseNothing: what names an object by its name follows it.
func TestAPrefixAndASuffixOfNamesLoseNothing(t *testing.T) {
	stream := kustomize(t, own(t, "namePrefix: corp-\nnameSuffix: -blue\nresources: [../config/default]\n", nil))
	all := objects(t, stream)
	text := func(object map[string]any, fields ...string) string {
		t.Helper()
		value, found, err := unstructured.NestedString(object, fields...)
		must(t, err)
		if !found {
			t.Errorf("no %s", strings.Join(fields, "."))
		}
		return value
	}
	account := text(all["Deployment hallpass-system/corp-hallpass-manager-blue"], "spec", "template", "spec", "serviceAccountName")
	if all["ServiceAccount hallpass-system/"+account] == nil {
		t.Errorf("the manager runs as %q, which is not there", account)
	}
	bound := 0
	for key, object := range all {
		switch object["kind"] {
		case "ValidatingAdmissionPolicyBinding":
			bound++
			if policy := text(object, "spec", "policyName"); all["ValidatingAdmissionPolicy "+policy] == nil {
				t.Errorf("%s is for %q, which is not there", key, policy)
			}
		case "ValidatingAdmissionPolicy":
			conditions, _, err := unstructured.NestedSlice(object, "spec", "matchConditions")
			must(t, err)
			if len(conditions) == 0 { // it is for everyone
				if strings.Contains(key, "hallpass-manager") {
					t.Errorf("%s has no conditions", key)
				}
				continue
			}
			condition, _ := conditions[0].(map[string]any)
			matches := boundAccounts.FindStringSubmatch(text(condition, "expression"))
			if matches == nil {
				if strings.Contains(key, "hallpass-manager") {
					t.Errorf("%s binds by %s", key, condition["expression"])
				}
				continue
			}
			for user, want := range map[string]bool{
				"system:serviceaccount:hallpass-system:" + account: true, "system:serviceaccount:hallpass-system:hallpass-manager": true,
				"system:serviceaccount:other:hallpass-manager": false, "admin": false,
			} {
				if got := strings.HasPrefix(user, matches[1]); got != want {
					t.Errorf("%s binds %s: %t", key, user, got)
				}
			}
		}
	}
	if bound != 6 {
		t.Errorf("%d bindings of admission policies, want 6", bound)
	}
	containers, _, err := unstructured.NestedSlice(all["Deployment hallpass-system/corp-hallpass-manager-blue"], "spec", "template", "spec", "containers")
	must(t, err)
	container, _ := containers[0].(map[string]any)
	env, _ := container["env"].([]any)
	service, _ := env[len(env)-1].(map[string]any)
	if service["name"] != "SERVICE" || all["Service hallpass-system/"+text(service, "value")] == nil {
		t.Errorf("the serving certificate is for the Service %q", service["value"])
	}
}

// TestAReleaseOfAnotherNameHasTheSameObjects: what names an object by its name follows
// fullnameOverride. The manager makes some objects, whose names stay.
func TestAReleaseOfAnotherNameHasTheSameObjects(t *testing.T) {
	args := []string{"--set", "certManager.enabled=true,tokenserver.autoscaling.enabled=true,namespaces={shop},monitoring.podMonitor=true"}
	ordinary, err := template(t, args...)
	must(t, err)
	renamed, err := template(t, append(args, "--set", "fullnameOverride=identity")...)
	must(t, err)
	kept := strings.NewReplacer("hallpass-system", "hallpass-system", "hallpass-registry", "hallpass-registry", "hallpass-dev/", "hallpass-dev/",
		"hallpass-tokenserver-tls", "hallpass-tokenserver-tls", "hallpass-ca", "hallpass-ca", "- hallpass-manager\n", "- hallpass-manager\n", "'hallpass-login'", "'hallpass-login'", "hallpass-", "identity-")
	if diff := cmp.Diff(kept.Replace(ordinary), renamed); diff != "" {
		t.Errorf("a release that is called identity (-want +got):\n%s", diff)
	}
	login := []string{"--set", withLogin + ",login.namespace=signin,login.ingress.enabled=true,login.gateway.enabled=true,login.certManager.enabled=true,monitoring.podMonitor=true"}
	ordinaryLogin, err := template(t, login...)
	must(t, err)
	renamedLogin, err := template(t, append(login, "--set", "fullnameOverride=identity")...)
	must(t, err)
	if diff := cmp.Diff(kept.Replace(strings.ReplaceAll(ordinaryLogin, "hallpass-login-tls", "KEPT")), strings.ReplaceAll(renamedLogin, "hallpass-login-tls", "KEPT")); diff != "" {
		t.Errorf("a release with login that is called identity (-want +got):\n%s", diff)
	}
	if !strings.Contains(renamed, "--issuer=https://identity-tokenserver.hallpass-system.svc") {
		t.Error("the issuer is not the address of the Service")
	}
}

// TestOtherNamespacesWithKustomizeAreThoseOfTheChart compares config/renamed with a release of that
// namespace, object by object.
func TestOtherNamespacesWithKustomizeAreThoseOfTheChart(t *testing.T) {
	dir := own(t, `resources: [../config/default, names.yaml]
components: [../config/renamed]
configMapGenerator:
- {name: hallpass-settings, namespace: hallpass-system, behavior: merge, literals: ["ISSUER=https://hallpass.example.com"]}
`, map[string]string{"names.yaml": names})
	stream := kustomize(t, dir)
	for _, old := range []string{"hallpass-system", "hallpass-registry", "hallpass-names"} {
		if strings.Contains(stream, old) {
			t.Errorf("%s is still in it: %s", old, regexp.MustCompile(".*"+old+".*").FindString(stream))
		}
	}
	if settings := regexp.MustCompile(`name: (hallpass-settings-\w+)\n *(namespace: identity)?`).FindAllStringSubmatch(stream, -1); len(settings) != 3 ||
		settings[0][1] != settings[1][1] || settings[1][1] != settings[2][1] || !strings.Contains(stream, settings[0][1]+"\n  namespace: identity\n") {
		t.Errorf("the processes do not read the settings: %q", settings)
	}
	rendered, _, err := helm(t, "", "template", "hallpass", chart, "--namespace", "identity", "--set", "registry.namespace=identity-registry,issuer=https://hallpass.example.com")
	must(t, err)
	if diff := cmp.Diff(alike(t, stream, "identity"), alike(t, rendered, "identity")); diff != "" {
		t.Errorf("(-kustomize +helm):\n%s", diff)
	}
}

// TestOneNamespaceForBothIsRefused: kustomize's field namespace would put the keys beside the
// processes.
func TestOneNamespaceForBothIsRefused(t *testing.T) {
	assets, err := controlplane.FindAssets(t.Context(), os.Stderr)
	must(t, err)
	_, _, err = run(t, "", assets.Kubectl, "kustomize", own(t, "namespace: other\nresources: [../config/default]\n", nil))
	if err == nil || !strings.Contains(err.Error(), "namespace transformation produces ID conflict") {
		t.Errorf("kustomize says %v", err)
	}
}
