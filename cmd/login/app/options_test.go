// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package app_test

import (
	"bytes"
	"errors"
	"flag"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/hallpass-dev/hallpass/cmd/login/app"
)

// flags are those without which nothing starts, and some more.
func flags(t *testing.T, more ...string) []string {
	t.Helper()
	return append([]string{"--login-url=https://login.test", "--tls-cert-file=c", "--tls-key-file=k", "--kubeconfig=" + kubeconfig(t, "https://127.0.0.1:1")}, more...)
}

func kubeconfig(t *testing.T, server string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "kubeconfig")
	content := "apiVersion: v1\nkind: Config\ncurrent-context: c\ncontexts: [{name: c, context: {cluster: c}}]\nclusters: [{name: c, cluster: {server: '" + server + "'}}]\n"
	if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestFlagsThatCannotBeMeantDoNotStart(t *testing.T) {
	for name, c := range map[string]struct{ flag, says string }{
		"no origin":                      {"--login-url=", "--login-url is required"},
		"an origin without TLS":          {"--login-url=http://login.test", "https origin"},
		"an origin with a path":          {"--login-url=https://login.test/x", "without a path"},
		"an origin with a slash":         {"--login-url=https://login.test/", "without a slash"},
		"an origin with a user":          {"--login-url=https://me@login.test", "https origin"},
		"a token server without TLS":     {"--token-server-url=http://tokens.test", "--token-server-url"},
		"no certificate":                 {"--tls-cert-file=", "--require-https=false"},
		"no connections":                 {"--max-connections=0", "must be positive"},
		"a proxy that is no address":     {"--trusted-proxy=proxy", "10.0.0.0/8"},
		"a verbosity that logs Secrets":  {"--v=8", "--v=8"},
		"an argument that is no flag":    {"serve", "unexpected argument"},
		"an alias of a page":             {"--authorization-endpoint-alias=/consent", "served already"},
		"an alias below the callbacks":   {"--authorization-endpoint-alias=/callback/corp", "served already"},
		"an alias of the standard path":  {"--authorization-endpoint-alias=/oauth2/authorize", "served already"},
		"an alias for balancers":         {"--authorization-endpoint-alias=/healthz", "for balancers"},
		"an alias with a wildcard":       {"--authorization-endpoint-alias=/{x}", "plain absolute path"},
		"a flag of the token server":     {"--issuer=https://hallpass.test", "not defined"},
		"a range of its own that is not": {"--own-prefix=pods", "10.0.0.0/8"},
	} {
		t.Run(name, func(t *testing.T) {
			var printed bytes.Buffer
			_, err := app.ParseFlags(flags(t, c.flag), &printed)
			if err == nil || !strings.Contains(err.Error()+printed.String(), c.says) {
				t.Errorf("%v, %s", err, &printed)
			}
		})
	}
	o, err := app.ParseFlags(flags(t, "--authorization-endpoint-alias=/a", "--authorization-endpoint-alias=/b/c"), io.Discard)
	if err != nil || !slices.Equal(o.Aliases, []string{"/a", "/b/c"}) || o.Namespace != "hallpass-login" || o.Server.URL != "https://hallpass-tokenserver.hallpass-system.svc:8444" || !o.RequireHTTPS {
		t.Errorf("%+v, %v", o, err)
	}
}

func TestTheUsageDescribesEachFlag(t *testing.T) {
	var printed bytes.Buffer
	if _, err := app.ParseFlags([]string{"--help"}, &printed); !errors.Is(err, flag.ErrHelp) {
		t.Fatal(err)
	}
	for _, text := range []string{"-login-url", "-token-server-ca", "-token-file", "(default 10s)", "(required)"} {
		if !strings.Contains(printed.String(), text) {
			t.Errorf("the usage lacks %q:\n%s", text, &printed)
		}
	}
}
