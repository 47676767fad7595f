// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package e2e_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/test/kit/installation"
)

// TestTheExamplesOfAPodWithoutASecretRun does what a kubelet does for the sample's pod, and runs
// the example in shell and the one in Go where its container would.
func TestTheExamplesOfAPodWithoutASecretRun(t *testing.T) {
	must(t, installation.Apply(t.Context(), hallpass.ControlPlane, root(), "config/samples/serviceaccount"))
	must(t, installation.Kubectl(t.Context(), hallpass.ControlPlane, "wait", "--for=condition=Ready", "--timeout=3m",
		"--namespace=default", "oauth2client", "worker"))
	c, pod := get(t, &v1alpha1.OAuth2Client{}, "default", "worker"), get(t, &corev1.Pod{}, "default", "worker")
	dir := mount(t, pod)
	issuer, err := os.ReadFile(filepath.Join(root(), "config/default/kustomization.yaml"))
	must(t, err)
	if audience := pod.Spec.Volumes[0].Projected.Sources[0].ServiceAccountToken.Audience; !strings.Contains(string(issuer), "ISSUER="+audience+"\n") {
		t.Errorf("the pod's audience %q is not the issuer of config/default", audience)
	}

	program := filepath.Join(t.TempDir(), "example")
	if output, err := command(t.Context(), "go", "build", "-o", program, "./docs/examples/serviceaccount").CombinedOutput(); err != nil {
		t.Fatalf("build: %v: %s", err, output)
	}
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = w.Write([]byte(r.Header.Get("Authorization"))) //nolint:gosec // for the test to read, and no browser
	}))
	defer api.Close()
	helper := credentials(t, apply(t, "default", newClient("worker-api")))
	for name, example := range map[string]string{"shell": "config/samples/serviceaccount/token.sh", "Go": program} {
		printed := runExample(t, dir, example)
		called := strings.TrimPrefix(runExample(t, dir, example, api.URL), "Bearer ")
		for _, token := range []string{printed, called} {
			if _, said := post(t, helper, "introspection_url", url.Values{"token": {token}}); said["active"] != true || said["client_id"] != c.Status.ClientID {
				t.Errorf("%s: introspection of %d characters says %v", name, len(token), said)
			}
		}
	}
	must(t, os.WriteFile(filepath.Join(dir, "token"), []byte("eyJhbGciOiJSUzI1NiJ9.e30.AAAA"), 0o600))
	for _, example := range []string{"config/samples/serviceaccount/token.sh", program} {
		failing := command(t.Context(), example)
		failing.Env = append(os.Environ(), "HALLPASS_DIR="+dir)
		if output, err := failing.CombinedOutput(); err == nil || !strings.Contains(string(output), "invalid_client") {
			t.Errorf("%s with a forged token: %v: %s", example, err, output)
		}
	}
	must(t, installation.Kubectl(t.Context(), hallpass.ControlPlane, "delete", "--wait=false", "-k", filepath.Join(root(), "config/samples/serviceaccount")))
}

// mount makes the first volume of a pod a directory. The audience of the token is this
// installation's issuer.
func mount(t *testing.T, pod *corev1.Pod) string {
	t.Helper()
	dir := t.TempDir()
	account := get(t, &corev1.ServiceAccount{}, pod.Namespace, pod.Spec.ServiceAccountName)
	for _, source := range pod.Spec.Volumes[0].Projected.Sources {
		if token := source.ServiceAccountToken; token != nil {
			spec := boundTo(ours(), pod)
			spec.ExpirationSeconds = token.ExpirationSeconds
			must(t, os.WriteFile(filepath.Join(dir, token.Path), []byte(projected(t, account, spec)), 0o600))
		}
		if source.ConfigMap != nil {
			for name, content := range get(t, &corev1.ConfigMap{}, pod.Namespace, source.ConfigMap.Name).Data {
				must(t, os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600))
			}
		}
	}
	return dir
}

func runExample(t *testing.T, dir, program string, args ...string) string {
	t.Helper()
	example := command(t.Context(), program, args...)
	example.Env = append(os.Environ(), "HALLPASS_DIR="+dir)
	output, err := example.Output()
	if err != nil {
		t.Fatalf("%s: %v", program, err)
	}
	return strings.TrimSpace(string(output))
}
