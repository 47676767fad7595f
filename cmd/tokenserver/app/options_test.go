// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hallpass-dev/hallpass/internal/oauth2"
	"github.com/hallpass-dev/hallpass/internal/tokenserver"
)

// flags are those without which nothing starts, and some more.
func flags(t *testing.T, more ...string) []string {
	t.Helper()
	kubeconfig := filepath.Join(t.TempDir(), "kubeconfig")
	const content = "apiVersion: v1\nkind: Config\ncurrent-context: c\ncontexts: [{name: c, context: {cluster: c}}]\nclusters: [{name: c, cluster: {server: 'https://127.0.0.1:1'}}]\n"
	if err := os.WriteFile(kubeconfig, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return append([]string{"--issuer=https://hallpass.test", "--tls-cert-file=c", "--tls-key-file=k", "--kubeconfig=" + kubeconfig}, more...)
}

func TestFlagsForCallersOfOldAreOffByDefault(t *testing.T) {
	o, err := ParseFlags(flags(t), io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	if o.TokenByGet || !o.RequireHTTPS || len(o.Aliases.All()) > 0 || o.PasswordGrant {
		t.Errorf("GET %t, HTTPS %t, aliases %v", o.TokenByGet, o.RequireHTTPS, o.Aliases)
	}
	o, err = ParseFlags(flags(t, "--token-endpoint-alias=/a", "--token-endpoint-alias=/b/c.pxp",
		"--introspection-endpoint-alias=/i", "--revocation-endpoint-alias=/r", "--unsafe-password-grant", "--token-endpoint-allow-get", "--client-rate=7"), io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	want := tokenserver.Aliases{Token: []string{"/a", "/b/c.pxp"}, Introspection: []string{"/i"}, Revocation: []string{"/r"}}
	if diff := cmp.Diff(want, o.Aliases); diff != "" || !o.PasswordGrant || !o.TokenByGet || o.ClientRate != 7 {
		t.Errorf("GET %t, rate %d, aliases (-want +got):\n%s", o.TokenByGet, o.ClientRate, diff)
	}
}

func TestFlagsThatCannotBeMeantDoNotStart(t *testing.T) {
	shortKey := filepath.Join(t.TempDir(), "short")
	if err := os.WriteFile(shortKey, make([]byte, minPersonKey-1), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, more := range map[string][]string{
		"an alias that is not absolute":      {"--token-endpoint-alias=token"},
		"an alias that is the root":          {"--token-endpoint-alias=/"},
		"an alias with a wildcard":           {"--token-endpoint-alias=/{x}"},
		"an alias with a dot segment":        {"--token-endpoint-alias=/a/../b"},
		"an alias with a slash at the end":   {"--token-endpoint-alias=/a/"},
		"an alias with a query":              {"--token-endpoint-alias=/a?b"},
		"an alias of the standard path":      {"--token-endpoint-alias=/oauth2/token"},
		"an alias in the way of the key set": {"--token-endpoint-alias=/oauth2/jwks"},
		"an alias in the way of a login":     {"--token-endpoint-alias=/oauth2/authorize"},
		"an alias that is there twice":       {"--token-endpoint-alias=/a", "--token-endpoint-alias=/a"},
		"an alias of two endpoints":          {"--token-endpoint-alias=/a", "--revocation-endpoint-alias=/a"},
		"an alias for balancers":             {"--introspection-endpoint-alias=/healthz"},
		"bodies of Secrets in the log":       {"--v=8"},
		"a verbosity below nothing":          {"--v=-1"},
		"no tokens at all":                   {"--client-rate=0"},
		"no connections":                     {"--max-connections=0"},
		"no connections of anybody":          {"--max-connections-per-source=0"},
		"an issuer with a path":              {"--issuer=https://hallpass.test/path"},
		"an issuer without TLS":              {"--issuer=http://hallpass.test"},
		"records of no size":                 {"--max-records-memory=many"},
		"records that fit nowhere":           {"--max-records-memory=1Gi"},
		"an argument that is no flag":        {"serve"},
		"a range of its own that is none":    {"--own-prefix=pods"},
		"a proxy that is no address":         {"--trusted-proxy=10.0.0.0/33"},
		"a key of persons that is missing":   {"--audit-person-key-file=" + filepath.Join(t.TempDir(), "key")},
		"a key of persons that is short":     {"--audit-person-key-file=" + shortKey},
		"a login without TLS":                {"--login-url=http://login.test"},
		"a login with a path":                {"--login-url=https://login.test/"},
		"a login that is no URL":             {"--login-url=login"},
		"a login at the issuer":              {"--login-url=https://hallpass.test"},
		"an account without a namespace":     {"--login-account=login"},
		"an account with too many names":     {"--login-account=a/b/c"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := ParseFlags(flags(t, more...), io.Discard); err == nil {
				t.Error("accepted")
			}
		})
	}
	if _, err := ParseFlags(flags(t)[1:], io.Discard); err == nil || !strings.Contains(err.Error(), "--issuer") {
		t.Errorf("without an issuer: %v", err)
	}
}

func TestRangesMayBeRepeated(t *testing.T) {
	o, err := ParseFlags(flags(t, "--trusted-proxy=10.0.0.7", "--own-prefix=fd00:1::5/48", "--trusted-proxy=10.1.2.3/16", "--own-prefix=fd00:2::/48"), io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"[10.0.0.7/32 10.1.0.0/16]", "[fd00:1::/48 fd00:2::/48]"}, []string{fmt.Sprint(o.TrustedProxies), fmt.Sprint(o.OwnPrefixes)}); diff != "" {
		t.Errorf("proxies and own ranges (-want +got):\n%s", diff)
	}
}

func TestUnsafeSettingsWarn(t *testing.T) {
	for name, c := range map[string]struct {
		options Options
		flags   []string
	}{
		"none":       {Options{RequireHTTPS: true}, nil},
		"plain HTTP": {Options{}, []string{"--require-https=false"}},
		"both":       {Options{TokenByGet: true}, []string{"--require-https=false", "--token-endpoint-allow-get"}},
	} {
		t.Run(name, func(t *testing.T) {
			var log bytes.Buffer
			warn(slog.New(slog.NewJSONHandler(&log, nil)), c.options)
			if got := strings.Count(log.String(), `"level":"WARN"`); got != len(c.flags) {
				t.Errorf("%d warnings: %s", got, &log)
			}
			for _, flag := range c.flags {
				if !strings.Contains(log.String(), flag) {
					t.Errorf("%s is not named: %s", flag, &log)
				}
			}
		})
	}
}

func TestTheFlagsOfLogin(t *testing.T) {
	o, err := ParseFlags(flags(t), io.Discard)
	if err != nil || o.Login.URL != "" || o.Login.Listen != ":8444" || o.Login.Account != (oauth2.ObjectName{Namespace: "hallpass-login", Name: "login"}) {
		t.Errorf("%v %+v", err, o.Login)
	}
	o, err = ParseFlags(flags(t, "--login-url=https://login.test", "--login-listen=:1", "--login-account=people/pages"), io.Discard)
	if err != nil || o.Login.URL != "https://login.test" || o.Login.Listen != ":1" || o.Login.Account != (oauth2.ObjectName{Namespace: "people", Name: "pages"}) {
		t.Errorf("%v %+v", err, o.Login)
	}
}

func TestTheUsageShowsShortDurations(t *testing.T) {
	var usage strings.Builder
	if _, err := ParseFlags([]string{"--help"}, &usage); !errors.Is(err, flag.ErrHelp) {
		t.Fatal(err)
	}
	if long := regexp.MustCompile(`default [0-9hms]*(h0m|m0s)[0-9hms]*\)`).FindAllString(usage.String(), -1); len(long) > 0 {
		t.Errorf("%q", long)
	}
}

func TestAKeyOfPersonsIsRead(t *testing.T) {
	file := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(file, make([]byte, minPersonKey), 0o600); err != nil {
		t.Fatal(err)
	}
	if o, err := ParseFlags(flags(t, "--audit-person-key-file="+file), io.Discard); err != nil || len(o.PersonKey) != minPersonKey {
		t.Errorf("%d bytes: %v", len(o.PersonKey), err)
	}
}
