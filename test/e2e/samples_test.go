// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package e2e_test

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/test/kit/installation"
)

// TestTheSampleTemplatesRender applies the samples for software that reads a file, and reads the
// files.
func TestTheSampleTemplatesRender(t *testing.T) {
	must(t, installation.Apply(t.Context(), hallpass.ControlPlane, root(), "config/samples/templates"))
	must(t, installation.Kubectl(t.Context(), hallpass.ControlPlane, "wait", "--for=condition=Ready", "--timeout=3m",
		"--namespace=default", "oauth2clients", "dotenv", "grafana", "prometheus", "spring"))
	for name, file := range map[string]string{"grafana": "datasource.yaml", "prometheus": "scrape.yaml", "spring": "application.yaml"} {
		secret := get(t, &corev1.Secret{}, "default", name)
		var content map[string]any
		if err := yaml.UnmarshalStrict(secret.Data[file], &content); err != nil || len(content) == 0 {
			t.Errorf("%s of %s is no YAML: %v\n%s", file, name, err, secret.Data[file])
		}
	}
	dotenv := get(t, &corev1.Secret{}, "default", "dotenv")
	want := "OAUTH_CLIENT_ID=default.dotenv\nOAUTH_CLIENT_SECRET=" + string(dotenv.Data["client_secret"]) +
		"\nOAUTH_TOKEN_URL=" + string(dotenv.Data["token_url"]) + "\nOAUTH_SCOPE=read\n"
	if got := string(dotenv.Data[".env"]); got != want {
		t.Errorf(".env is %q, want %q", got, want)
	}
	for _, name := range []string{"dotenv", "grafana", "prometheus", "spring"} {
		must(t, cluster.Delete(t.Context(), get(t, &v1alpha1.OAuth2Client{}, "default", name)))
	}
}
