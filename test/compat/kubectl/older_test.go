// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package kubectl_test

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	authenticationv1 "k8s.io/api/authentication/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	"sigs.k8s.io/yaml"

	"github.com/hallpass-dev/hallpass/cmd/kubectl-hallpass/app"
	"github.com/hallpass-dev/hallpass/test/kit/controlplane"
	"github.com/hallpass-dev/hallpass/test/kit/installation"
	"github.com/hallpass-dev/hallpass/test/kit/world"
)

// TestAClusterWithoutHallpassAndAnOlderOne has an API server of its own: without the custom
// resources, and then with those of a version that had fewer fields and kinds.
func TestAClusterWithoutHallpassAndAnOlderOne(t *testing.T) {
	plane, err := controlplane.Start(t.Context(), controlplane.Options{})
	must(t, err)
	t.Cleanup(func() { must(t, plane.Stop()) })
	sh := shell{kubeconfig: plane.Kubeconfig(), cache: t.TempDir()}
	for _, line := range []string{
		"get clients", "get tokens -A", "describe client a", "create client a", "create resource a", "set client a --notes x", "rotate a", "revoke client a --yes",
		"login a", "token a", "why a", "events a", "wait a", "doctor", "whoami", "console --no-browser",
	} {
		if r := sh.run(t, line, ""); r.code != app.ExitFailed || !strings.Contains(r.err, " of hallpass.dev/v1alpha1. Install Hallpass there, or choose another cluster with --context") {
			t.Errorf("%s: exit %d: %s%s", line, r.code, r.out, r.err)
		}
	}
	older(t, plane, "oauth2clients", "contacts")
	older(t, plane, "oauth2resources", "maxFixedTokenLifetime")
	older(t, plane, "tokenrevocations", "")
	eventually(t, "the custom resources are served", func() bool {
		return sh.run(t, "get clients", "").code == app.ExitOK && sh.run(t, "get resources", "").code == app.ExitOK
	})
	sh.ok(t, "create client known --scopes read")
	sh.ok(t, "set client known --notes x")
	for line, field := range map[string]string{
		"create client new --contacts a@example.com":                        "OAuth2Client has no spec.contacts there",
		"create client new --contacts a@example.com --dry-run=server":       "OAuth2Client has no spec.contacts there",
		"set client known --contacts a@example.com":                         "OAuth2Client has no spec.contacts there",
		"create resource new --scopes read --max-fixed-token-lifetime 720h": "OAuth2Resource has no spec.maxFixedTokenLifetime there",
	} {
		r := sh.run(t, line, "")
		if r.code != app.ExitFailed || !strings.Contains(r.err, "is older than this plugin: "+field) || strings.Count(r.err, "\n") != 1 {
			t.Errorf("%s: exit %d: %s%s", line, r.code, r.out, r.err)
		}
	}
	if r := sh.run(t, "get clients --output name", ""); r.out != "oauth2client.hallpass.dev/known\n" {
		t.Errorf("a client was created without what it was to have: %s", r.out)
	}
	for line, says := range map[string]string{
		"get keys":                       `there is no Secret "signing-keys" in namespace "hallpass-registry". Name the namespace of the registrations with --registry-namespace, or install Hallpass`,
		"revoke namespace default --yes": `there is no namespace "hallpass-registry" for registrations. Name the namespace of the registrations with --registry-namespace, or install Hallpass`,
		"revoke namespace default --yes --dry-run=server": `there is no namespace "hallpass-registry" for registrations. Name`,
	} {
		if r := sh.run(t, line, ""); r.code != app.ExitFailed || !strings.Contains(r.err, says) {
			t.Errorf("%s: exit %d: %s%s", line, r.code, r.out, r.err)
		}
	}
	if r := sh.run(t, "doctor", ""); !strings.Contains(r.out, "unknown  versions: ") || !strings.Contains(r.out, `namespace "hallpass-system". Name the namespace of the installation with --system-namespace`) {
		t.Errorf("doctor without Deployments: %s%s", r.out, r.err)
	}
	for _, line := range []string{"get issuers", "describe issuer github"} {
		if r := sh.run(t, line, ""); r.code != app.ExitFailed || !strings.Contains(r.err, "it is older than this plugin") {
			t.Errorf("%s: exit %d: %s%s", line, r.code, r.out, r.err)
		}
	}
}

// older applies a custom resource definition without a field of spec, as a version of before had
// it. Without the name of a field it is that of today.
func older(t *testing.T, plane *controlplane.ControlPlane, resource, field string) {
	t.Helper()
	root, err := world.Root()
	must(t, err)
	text, err := os.ReadFile(filepath.Join(root, "config", "crd", "bases", "hallpass.dev_"+resource+".yaml"))
	must(t, err)
	var definition map[string]any
	must(t, yaml.Unmarshal(text, &definition))
	versions, _, err := unstructured.NestedSlice(definition, "spec", "versions")
	must(t, err)
	version, ok := versions[0].(map[string]any)
	at := []string{"schema", "openAPIV3Schema", "properties", "spec", "properties", field}
	if _, found, err := unstructured.NestedMap(version, at...); !ok || field != "" && !found || err != nil {
		t.Fatalf("%s has no field %s: %v", resource, field, err)
	}
	unstructured.RemoveNestedField(version, at...)
	must(t, unstructured.SetNestedSlice(definition, versions, "spec", "versions"))
	text, err = yaml.Marshal(definition)
	must(t, err)
	file := filepath.Join(t.TempDir(), "definition.yaml")
	must(t, os.WriteFile(file, text, 0o600))
	must(t, installation.Kubectl(t.Context(), plane, "create", "--filename", file))
}

// login writes a kubeconfig of the shared API server with another user.
func login(t *testing.T, user *clientcmdapi.AuthInfo) string {
	t.Helper()
	config, err := clientcmd.LoadFromFile(shared.Plane.Kubeconfig())
	must(t, err)
	for name := range config.AuthInfos {
		config.AuthInfos[name] = user
	}
	file := filepath.Join(t.TempDir(), "kubeconfig")
	must(t, clientcmd.WriteToFile(*config, file))
	return file
}

// TestALoginThatIsOver has the token of a ServiceAccount that is deleted.
func TestALoginThatIsOver(t *testing.T) {
	namespaces(t, "logins")
	account := newAccount("logins", "over")
	must(t, shared.Cluster.Create(t.Context(), account))
	request := &authenticationv1.TokenRequest{}
	must(t, shared.Cluster.SubResource("token").Create(t.Context(), account, request))
	must(t, shared.Cluster.Delete(t.Context(), account))
	sh := shell{kubeconfig: login(t, &clientcmdapi.AuthInfo{Token: request.Status.Token}), cache: t.TempDir()}
	eventually(t, "the API server refuses the login", func() bool {
		return strings.Contains(sh.run(t, "get clients --namespace logins", "").err, "does not accept your login, or it has expired")
	})
	for _, line := range []string{
		"get clients", "describe client a", "create client a", "login a", "token a", "why a", "wait a", "doctor", "whoami", "console --no-browser", "revoke namespace logins --yes",
	} {
		r := sh.run(t, line+" --namespace logins", "")
		if r.code != app.ExitFailed || !strings.Contains(r.err, "Log in again as your cluster wants it") || strings.Count(r.err, "\n") != 1 {
			t.Errorf("%s: exit %d: %s%s", line, r.code, r.out, r.err)
		}
	}
}

// TestALoginPluginOfARealCluster hangs, fails, and then returns a token that the API server
// refuses.
func TestALoginPluginOfARealCluster(t *testing.T) {
	plugin := func(script string) string {
		file := filepath.Join(t.TempDir(), "login")
		must(t, os.WriteFile(file, []byte("#!/bin/sh\n"+script+"\n"), 0o700))
		return login(t, &clientcmdapi.AuthInfo{Exec: &clientcmdapi.ExecConfig{
			APIVersion: "client.authentication.k8s.io/v1", Command: file, InteractiveMode: clientcmdapi.NeverExecInteractiveMode,
		}})
	}
	for name, c := range map[string]struct{ script, says string }{
		"hangs": {`while [ -e "$0" ]; do sleep 0.1; done`, "still waits. Check whether it has opened a browser or asks in the terminal"},
		"fails": {`exit 1`, "of the kubeconfig failed: "},
		"is refused": {
			`echo '{"apiVersion":"client.authentication.k8s.io/v1","kind":"ExecCredential","status":{"token":"x"}}'`, "does not accept your login, or it has expired. Log in again",
		},
	} {
		t.Run(name, func(t *testing.T) {
			sh := shell{kubeconfig: plugin(c.script), cache: t.TempDir()}
			for _, line := range []string{"get clients", "create client a", "whoami"} {
				r := sh.run(t, line+" --request-timeout 2s --namespace default", "")
				if r.code != app.ExitFailed || !strings.Contains(r.err, c.says) {
					t.Errorf("%s: exit %d: %s%s", line, r.code, r.out, r.err)
				}
			}
		})
	}
}

// TestAnAPIServerThatIsNotTrusted has a certificate that no CA of the kubeconfig signed.
func TestAnAPIServerThatIsNotTrusted(t *testing.T) {
	other := httptest.NewTLSServer(http.NotFoundHandler())
	t.Cleanup(other.Close)
	sh := shell{kubeconfig: shared.Plane.Kubeconfig(), cache: t.TempDir()}
	r := sh.run(t, "get clients --server "+other.URL, "")
	if r.code != app.ExitFailed || !strings.Contains(r.err, "is not trusted: ") || !strings.Contains(r.err, "whether a proxy answers in its place") {
		t.Errorf("exit %d: %s%s", r.code, r.out, r.err)
	}
}

// TestAContextWithoutRights is of a user whose certificate is good and who may do nothing.
func TestAContextWithoutRights(t *testing.T) {
	namespaces(t, "elsewhere")
	account := newAccount("elsewhere", "guest")
	must(t, shared.Cluster.Create(t.Context(), account))
	config, err := shared.Plane.ServiceAccountKubeconfig(t.Context(), "elsewhere", "guest")
	must(t, err)
	sh := shell{kubeconfig: config, cache: t.TempDir()}
	for _, line := range []string{"get clients", "describe client a", "create client a", "get issuers", "token a", "wait a"} {
		r := sh.run(t, line+" --namespace elsewhere", "")
		if r.code != app.ExitFailed || !strings.Contains(r.err, `User "system:serviceaccount:elsewhere:guest" cannot`) || !strings.Contains(r.err, "ask its administrator") && !strings.Contains(r.err, "Ask the administrator") {
			t.Errorf("%s: exit %d: %s%s", line, r.code, r.out, r.err)
		}
	}
	if out := sh.ok(t, "whoami --namespace elsewhere"); !strings.Contains(out, "You are system:serviceaccount:elsewhere:guest\n") || strings.Contains(out, "you may\n") {
		t.Errorf("it is told:\n%s", out)
	}
}
