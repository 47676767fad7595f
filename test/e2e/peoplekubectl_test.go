// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package e2e_test

import (
	"bytes"
	"context"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	plugin "github.com/hallpass-dev/hallpass/cmd/kubectl-hallpass/app"
	"github.com/hallpass-dev/hallpass/test/kit/people"
)

// logInWithKubectl has a person log in at a public client by kubectl hallpass, use a token, have
// the next one fetched by the refresh token, and log out.
func logInWithKubectl(t *testing.T, at *replica, b *people.Browser, provider *people.Provider, client string, server *corev1.Secret) {
	t.Helper()
	cache, later := t.TempDir(), time.Duration(0)
	run := func(line string) (out, said string) {
		t.Helper()
		var output, problems bytes.Buffer
		code := plugin.Run(t.Context(), append(strings.Fields(line), "--kubeconfig", hallpass.ControlPlane.Kubeconfig(), "--namespace", "people"), plugin.Environment{
			IOStreams: genericiooptions.IOStreams{In: strings.NewReader(""), Out: &output, ErrOut: &problems}, CacheDir: cache,
			Now: func() time.Time { return time.Now().Add(later) },
			// the issuer is the installation, and the replica beside it has the port
			// for login
			Dial: func(ctx context.Context, network, address string) (net.Conn, error) {
				if address == strings.TrimPrefix(hallpass.Issuer.String(), "https://") {
					address = strings.TrimPrefix(at.url, "https://")
				}
				return new(net.Dialer).DialContext(ctx, network, address)
			},
			Open: func(ctx context.Context, address string) error {
				asked, err := url.Parse(address)
				if err != nil {
					return err
				}
				redirect := asked.Query().Get("redirect_uri")
				request, err := http.NewRequestWithContext(ctx, http.MethodGet, b.LogIn(address, redirect, provider).String(), http.NoBody)
				if err != nil {
					return err
				}
				response, err := http.DefaultClient.Do(request)
				if err != nil {
					return err
				}
				return response.Body.Close()
			},
		})
		if code != plugin.ExitOK {
			t.Fatalf("%s: exit %d: %s", line, code, &problems)
		}
		return strings.TrimSpace(output.String()), problems.String()
	}
	request := client + " --resource people-api/api"
	if _, said := run("login " + request); !strings.Contains(said, "You are logged in as "+peopleSubject+" at client people/"+client+", with the scopes call.") {
		t.Errorf("login: %s", said)
	}
	first, _ := run("token " + request)
	if found := introspectAt(t, at, server, first); found["active"] != true || found["sub"] != peopleSubject {
		t.Errorf("introspected as %v", found)
	}
	if who, _ := run("whoami"); !strings.Contains(who, peopleSubject+" at client people/"+client) || strings.Contains(who, first) {
		t.Errorf("whoami: %s", who)
	}
	later = time.Hour
	second, _ := run("token " + request)
	if found := introspectAt(t, at, server, second); second == first || found["active"] != true {
		t.Errorf("the next token is introspected as %v", found)
	}
	if _, said := run("logout"); !strings.Contains(said, "Ended 1 login.") {
		t.Errorf("logout: %s", said)
	}
	for name, token := range map[string]string{"first": first, "second": second} {
		if introspectAt(t, at, server, token)["active"] != false {
			t.Errorf("after logout the %s token is active", name)
		}
	}
}
