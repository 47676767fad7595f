// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package app_test

import (
	"bytes"
	"context"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"k8s.io/cli-runtime/pkg/genericiooptions"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"github.com/hallpass-dev/hallpass/cmd/kubectl-hallpass/app"
)

// run runs a command line with a kubeconfig, and returns the exit code and standard error. After
// its patience the command reports what it waits for; zero stands for the ordinary one.
func run(t *testing.T, patience time.Duration, kubeconfig string, args ...string) (int, string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	var out, problems bytes.Buffer
	code := app.Run(ctx, append(args, "--kubeconfig", kubeconfig), app.Environment{
		IOStreams: genericiooptions.IOStreams{In: strings.NewReader(""), Out: &out, ErrOut: &problems}, Patience: patience, CacheDir: t.TempDir(),
	})
	return code, problems.String()
}

// short is a patience that every request outlasts which waits for something.
const short = 10 * time.Millisecond

// kubeconfig writes a kubeconfig of a server.
func kubeconfig(t *testing.T, server string, user *clientcmdapi.AuthInfo) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "kubeconfig")
	err := clientcmd.WriteToFile(clientcmdapi.Config{
		Clusters:       map[string]*clientcmdapi.Cluster{"c": {Server: server}},
		AuthInfos:      map[string]*clientcmdapi.AuthInfo{"u": user},
		Contexts:       map[string]*clientcmdapi.Context{"x": {Cluster: "c", AuthInfo: "u", Namespace: "shop"}},
		CurrentContext: "x",
	}, file)
	if err != nil {
		t.Fatal(err)
	}
	return file
}

// answering is an API server that gives one answer to everything.
func answering(t *testing.T, status int, body string) string {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_, _ = w.Write([]byte(body))
	}))
	t.Cleanup(server.Close)
	return server.URL
}

func TestAClusterThatDoesNotAnswerAsOneShouldIsExplained(t *testing.T) {
	const status = `{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"`
	garbage := filepath.Join(t.TempDir(), "garbage")
	if err := os.WriteFile(garbage, []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	empty := filepath.Join(t.TempDir(), "empty")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct{ kubeconfig, says string }{
		"no kubeconfig":        {empty, "there is no cluster to talk to"},
		"a broken kubeconfig":  {garbage, "the kubeconfig cannot be read"},
		"no custom resources":  {kubeconfig(t, answering(t, 404, "404 page not found"), &clientcmdapi.AuthInfo{}), "has no OAuth2Client of hallpass.dev/v1alpha1. Install Hallpass there"},
		"an expired login":     {kubeconfig(t, answering(t, 401, status+`Unauthorized","code":401}`), &clientcmdapi.AuthInfo{}), "Log in again"},
		"a server without one": {kubeconfig(t, "http://127.0.0.1:1", &clientcmdapi.AuthInfo{}), "the API server at http://127.0.0.1:1 cannot be reached"},
		"a login plugin that is not there": {kubeconfig(t, "https://127.0.0.1:1", &clientcmdapi.AuthInfo{Exec: &clientcmdapi.ExecConfig{
			APIVersion: "client.authentication.k8s.io/v1", Command: "no-such-plugin", InteractiveMode: clientcmdapi.NeverExecInteractiveMode,
		}}), "the login plugin no-such-plugin of the kubeconfig failed: exec: executable no-such-plugin not found. Install it"},
	} {
		t.Run(name, func(t *testing.T) {
			for _, line := range []string{"get clients", "describe client a", "login a", "token a", "suspend a", "doctor", "get secret a", "why a", "wait a", "whoami", "console"} {
				code, said := run(t, 0, c.kubeconfig, strings.Fields(line)...)
				if code != app.ExitFailed || !strings.Contains(said, c.says) || strings.Count(said, "\n") != 1 {
					t.Errorf("%s: exit %d: %s", line, code, said)
				}
			}
		})
	}
}

// TestAnInstallationWithoutIssuersIsExplained has no custom resource for them, as one for chosen
// namespaces.
func TestAnInstallationWithoutIssuersIsExplained(t *testing.T) {
	config := kubeconfig(t, answering(t, 404, "404 page not found"), &clientcmdapi.AuthInfo{})
	for _, line := range []string{"get issuers", "get issuers github", "get issuers --output yaml", "describe issuer github"} {
		code, said := run(t, 0, config, strings.Fields(line)...)
		if code != app.ExitFailed || !strings.Contains(said, "An installation for chosen namespaces has none") || strings.Count(said, "\n") != 1 {
			t.Errorf("%s: exit %d: %s", line, code, said)
		}
	}
}

func TestACommandReportsWhatItWaitsFor(t *testing.T) {
	waiting := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-waiting:
		case <-r.Context().Done():
		}
	}))
	defer server.Close()
	defer close(waiting)
	code, said := run(t, short, kubeconfig(t, server.URL, &clientcmdapi.AuthInfo{}), "get", "clients", "--request-timeout", "1s")
	if code != app.ExitFailed || !strings.Contains(said, "Still waiting for the API server at "+server.URL) || !strings.Contains(said, "did not answer in time") {
		t.Errorf("exit %d: %s", code, said)
	}
}

// TestALoginPluginThatHangsIsNamed has a plugin that waits for a browser without a user.
func TestALoginPluginThatHangsIsNamed(t *testing.T) {
	plugin := filepath.Join(t.TempDir(), "slow-login")
	if err := os.WriteFile(plugin, []byte("#!/bin/sh\nsleep 1\nexit 1\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	code, said := run(t, short, kubeconfig(t, "https://127.0.0.1:1", &clientcmdapi.AuthInfo{Exec: &clientcmdapi.ExecConfig{
		APIVersion: "client.authentication.k8s.io/v1", Command: plugin, InteractiveMode: clientcmdapi.NeverExecInteractiveMode,
	}}), "get", "clients")
	if code != app.ExitFailed || !strings.Contains(said, "or for the login plugin "+plugin) {
		t.Errorf("exit %d: %s", code, said)
	}
}

// TestALoginPluginThatHangsIsNotWaitedFor ends the request and not the plugin, which waits until
// the directory of the test is removed.
func TestALoginPluginThatHangsIsNotWaitedFor(t *testing.T) {
	plugin := filepath.Join(t.TempDir(), "login")
	if err := os.WriteFile(plugin, []byte("#!/bin/sh\nwhile [ -e \"$0\" ]; do sleep 0.1; done\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	config := kubeconfig(t, "https://127.0.0.1:1", &clientcmdapi.AuthInfo{Exec: &clientcmdapi.ExecConfig{
		APIVersion: "client.authentication.k8s.io/v1", Command: plugin, InteractiveMode: clientcmdapi.NeverExecInteractiveMode,
	}})
	code, said := run(t, 0, config, "get", "clients", "--request-timeout", "1s")
	if code != app.ExitFailed || !strings.Contains(said, "or the login plugin "+plugin+" of the kubeconfig still waits. Check whether it has opened a browser") {
		t.Errorf("after --request-timeout: exit %d: %s", code, said)
	}
	ctx, interrupt := context.WithCancel(t.Context())
	interrupt()
	var out, problems bytes.Buffer
	code = app.Run(ctx, []string{"get", "clients", "--kubeconfig", config}, app.Environment{
		IOStreams: genericiooptions.IOStreams{In: strings.NewReader(""), Out: &out, ErrOut: &problems},
	})
	if code != app.ExitFailed || problems.String() != "error: interrupted.\n" {
		t.Errorf("after Ctrl-C: exit %d: %s", code, &problems)
	}
}

func TestEveryCommandHasHelpAndAnExample(t *testing.T) {
	for _, line := range []string{
		"get clients", "get resources", "get tokens", "get issuers", "get secret", "get keys", "describe client", "describe resource", "describe token", "describe issuer", "why", "events", "wait", "doctor", "whoami",
		"create client", "create resource", "create token", "set client", "set resource", "set token", "grant", "ungrant", "rotate", "suspend", "resume",
		"revoke client", "revoke namespace", "revoke token", "delete client", "delete resource", "delete token", "login", "token", "logout", "generate nginx", "generate haproxy", "generate caddy", "generate envoy", "import", "version", "console",
	} {
		var out, problems bytes.Buffer
		code := app.Run(t.Context(), append(strings.Fields(line), "--help"), app.Environment{IOStreams: genericiooptions.IOStreams{Out: &out, ErrOut: &problems}})
		if code != app.ExitOK || !strings.Contains(out.String(), "Examples:\n") || !strings.Contains(out.String(), "kubectl hallpass "+strings.Fields(line)[0]) {
			t.Errorf("%s: exit %d: %s%s", line, code, out.String(), problems.String())
		}
		if strings.Contains(out.String(), "--token string") || strings.Contains(out.String(), "--password") {
			t.Errorf("%s takes a secret as an argument", line)
		}
	}
}
