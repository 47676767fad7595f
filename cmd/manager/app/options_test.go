// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package app_test

import (
	"encoding/pem"
	"errors"
	"flag"
	"io"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hallpass-dev/hallpass/cmd/manager/app"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
	"github.com/hallpass-dev/hallpass/internal/serve"
)

const kubeconfig = `apiVersion: v1
kind: Config
clusters: [{name: c, cluster: {server: https://127.0.0.1:1}}]
contexts: [{name: c, context: {cluster: c, user: u}}]
users: [{name: u}]
current-context: c
`

func kubeconfigFile(t *testing.T) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "kubeconfig")
	if err := os.WriteFile(file, []byte(kubeconfig), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// TestNamespaces: a list that is empty or holds what is no namespace of users never comes to mean
// all of the cluster.
func TestNamespaces(t *testing.T) {
	file := kubeconfigFile(t)
	for name, c := range map[string]struct {
		given []string
		want  []string
		fails bool
	}{
		"left out, it is all of the cluster": {},
		"names are taken":                    {given: []string{"--namespaces=shop,orders"}, want: []string{"shop", "orders"}},
		"an empty list":                      {given: []string{"--namespaces="}, fails: true},
		"a variable that nobody has set":     {given: []string{"--namespaces=$(NAMESPACES)"}, fails: true},
		"a trailing comma":                   {given: []string{"--namespaces=shop,"}, fails: true},
		"a name twice":                       {given: []string{"--namespaces=shop,shop"}, fails: true},
		"the registry":                       {given: []string{"--namespaces=hallpass-registry"}, fails: true},
		"the system namespace by its flag":   {given: []string{"--system-namespace=infra", "--namespaces=infra"}, fails: true},
		"one namespace for keys and pods":    {given: []string{"--system-namespace=infra", "--registry-namespace=infra"}, fails: true},
	} {
		t.Run(name, func(t *testing.T) {
			args := append([]string{"--issuer=https://hallpass.example.com", "--kubeconfig=" + file}, c.given...)
			o, err := app.ParseFlags(args, io.Discard)
			if (err != nil) != c.fails || !slices.Equal(o.Namespaces, c.want) {
				t.Errorf("%v, %v; want %v, failure %t", o.Namespaces, err, c.want, c.fails)
			}
		})
	}
}

// TestNumbersOfObjects: without flags there are limits, and 0 is one.
func TestNumbersOfObjects(t *testing.T) {
	file := kubeconfigFile(t)
	for name, c := range map[string]struct {
		given []string
		want  oauth2.Numbers
		fails bool
	}{
		"left out":    {want: oauth2.Numbers{Clients: new(10_000), Tokens: new(10_000), Resources: new(1000)}},
		"set":         {given: []string{"--max-clients=5", "--max-tokens=0", "--max-resources=7"}, want: oauth2.Numbers{Clients: new(5), Tokens: new(0), Resources: new(7)}},
		"less than 0": {given: []string{"--max-resources=-1"}, fails: true},
		"no number":   {given: []string{"--max-clients=many"}, fails: true},
	} {
		t.Run(name, func(t *testing.T) {
			o, err := app.ParseFlags(append([]string{"--issuer=https://hallpass.example.com", "--kubeconfig=" + file}, c.given...), io.Discard)
			if (err != nil) != c.fails {
				t.Fatalf("%v, want a failure: %t", err, c.fails)
			}
			if diff := cmp.Diff(c.want, o.MaxObjects); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// TestTheMemoryOfRecords: a bound that could guarantee nothing, or that no token server can hold,
// keeps the manager from starting.
func TestTheMemoryOfRecords(t *testing.T) {
	file := kubeconfigFile(t)
	for name, c := range map[string]struct {
		given          []string
		all, namespace serve.Bytes
		fails          string
	}{
		"left out":                   {all: 45 << 18, namespace: 2 << 20},
		"all":                        {given: []string{"--max-records-memory=45Mi"}, all: 45 << 20, namespace: 2 << 20},
		"both":                       {given: []string{"--max-records-memory=22.5Mi", "--max-namespace-records-memory=22.5Mi"}, all: 45 << 19, namespace: 45 << 19},
		"no size":                    {given: []string{"--max-records-memory=much"}, fails: "such as 22.5Mi"},
		"less than two shares":       {given: []string{"--max-records-memory=512Ki"}, fails: "--max-records-memory=512Ki is not between 1Mi and 512Mi"},
		"more than a snapshot holds": {given: []string{"--max-records-memory=1Gi"}, fails: "--max-records-memory=1024Mi is not between 1Mi and 512Mi"},
		"a namespace has less than it is guaranteed": {given: []string{"--max-namespace-records-memory=63Ki"},
			fails: "--max-namespace-records-memory=63Ki is not between 64Ki, which each namespace is guaranteed, and --max-records-memory=11.25Mi"},
		"a namespace has more than all": {given: []string{"--max-records-memory=1Mi"}, fails: "--max-namespace-records-memory=2Mi is not between"},
	} {
		t.Run(name, func(t *testing.T) {
			o, err := app.ParseFlags(append([]string{"--issuer=https://hallpass.example.com", "--kubeconfig=" + file}, c.given...), io.Discard)
			if (err != nil) != (c.fails != "") || err != nil && !strings.Contains(err.Error(), c.fails) {
				t.Fatalf("%v, want %q", err, c.fails)
			}
			if o.MaxRecords != c.all || o.MaxNamespaceRecords != c.namespace {
				t.Errorf("%s and %s, want %s and %s", o.MaxRecords, o.MaxNamespaceRecords, c.all, c.namespace)
			}
		})
	}
}

// TestAllowedClaims: a rule that could allow nothing, or what no rule may, keeps the manager from
// starting.
func TestAllowedClaims(t *testing.T) {
	file := kubeconfigFile(t)
	for name, c := range map[string]struct {
		given []string
		want  []oauth2.ClaimRule
		fails bool
	}{
		"left out, none is allowed":    {},
		"names and patterns are taken": {given: []string{"--allow-claim=roles=shop-*,viewer", "--allow-claim=tier=*"}, want: []oauth2.ClaimRule{{Name: "roles", Values: []string{"shop-*", "viewer"}}, {Name: "tier", Values: []string{"*"}}}},
		"a value has an equals sign":   {given: []string{"--allow-claim=tier=a=b"}, want: []oauth2.ClaimRule{{Name: "tier", Values: []string{"a=b"}}}},
		"a name alone":                 {given: []string{"--allow-claim=roles"}, fails: true},
		"no value":                     {given: []string{"--allow-claim=roles="}, fails: true},
		"a reserved name":              {given: []string{"--allow-claim=Sub=*"}, fails: true},
		"a name that needs no rule":    {given: []string{"--allow-claim=https://example.com/tier=*"}, fails: true},
		"a star for Kubernetes groups": {given: []string{"--allow-claim=groups=system:*"}, fails: true},
	} {
		t.Run(name, func(t *testing.T) {
			args := append([]string{"--issuer=https://hallpass.example.com", "--kubeconfig=" + file}, c.given...)
			o, err := app.ParseFlags(args, io.Discard)
			if diff := cmp.Diff(c.want, o.AllowClaims); diff != "" || (err != nil) != c.fails {
				t.Errorf("%v, failure %t (-want +got):\n%s", err, c.fails, diff)
			}
		})
	}
}

// TestAllowedGrantTypes: where policies are read, only they allow a grant type.
func TestAllowedGrantTypes(t *testing.T) {
	file := kubeconfigFile(t)
	for name, c := range map[string]struct {
		given []string
		want  []string
		fails bool
	}{
		"left out, none is allowed":          {given: []string{"--namespaces=shop"}},
		"for chosen namespaces":              {given: []string{"--namespaces=shop", "--allow-grant-type=TokenExchange"}, want: []string{"TokenExchange"}},
		"for all namespaces":                 {given: []string{"--allow-grant-type=TokenExchange"}, fails: true},
		"one that needs a trusted issuer":    {given: []string{"--namespaces=shop", "--allow-grant-type=AuthorizationCode"}, fails: true},
		"one that there is not":              {given: []string{"--namespaces=shop", "--allow-grant-type=urn:x"}, fails: true},
		"one that is allowed without a flag": {given: []string{"--namespaces=shop", "--allow-grant-type=JWTBearer"}, fails: true},
	} {
		t.Run(name, func(t *testing.T) {
			args := append([]string{"--issuer=https://hallpass.example.com", "--kubeconfig=" + file}, c.given...)
			o, err := app.ParseFlags(args, io.Discard)
			if (err != nil) != c.fails || !c.fails && !slices.Equal(o.AllowGrantTypes, c.want) {
				t.Errorf("%q, %v, want %q", o.AllowGrantTypes, err, c.want)
			}
		})
	}
}

// TestServingNames: an issuer of the system namespace is an address of the Service, as it is
// called.
func TestServingNames(t *testing.T) {
	file := kubeconfigFile(t)
	const service = "--serving-dns-names=corp-tokens.hallpass-system.svc,corp-tokens.hallpass-system.svc.cluster.local"
	for name, c := range map[string]struct {
		issuer string
		given  []string
		want   []string
		fails  string
	}{
		"the Service's name": {
			issuer: "https://corp-tokens.hallpass-system.svc", given: []string{service},
			want: []string{"corp-tokens.hallpass-system.svc", "corp-tokens.hallpass-system.svc.cluster.local"},
		},
		"a public name": {
			issuer: "https://id.example.com", given: []string{service},
			want: []string{"id.example.com", "corp-tokens.hallpass-system.svc", "corp-tokens.hallpass-system.svc.cluster.local"},
		},
		"a Service of another namespace": {
			issuer: "https://edge.gateways.svc", given: []string{"--serving-dns-names=a.hallpass-system.svc"},
			want: []string{"edge.gateways.svc", "a.hallpass-system.svc"},
		},
		"a host below no Service": {
			issuer: "https://hallpass-system.svc.example.com", given: []string{"--serving-dns-names=a.hallpass-system.svc"},
			want: []string{"hallpass-system.svc.example.com", "a.hallpass-system.svc"},
		},
		"another Service that is named": {
			issuer: "https://b.hallpass-system.svc", given: []string{"--serving-dns-names=a.hallpass-system.svc, b.hallpass-system.svc"},
			want: []string{"b.hallpass-system.svc", "a.hallpass-system.svc"},
		},
		"no Service that is named": {
			issuer: "https://hallpass-tokenserver.hallpass-system.svc", given: []string{"--serving-dns-names=localhost"},
			want: []string{"hallpass-tokenserver.hallpass-system.svc", "localhost"},
		},
		"the name from before a rename": {
			issuer: "https://hallpass-tokenserver.hallpass-system.svc", given: []string{service},
			fails: "set the issuer to https://corp-tokens.hallpass-system.svc, or add hallpass-tokenserver.hallpass-system.svc to --serving-dns-names",
		},
		"the same with a port and the cluster's domain": {
			issuer: "https://hallpass-tokenserver.hallpass-system.svc.cluster.local:8443", given: []string{service},
			fails: "set the issuer to https://corp-tokens.hallpass-system.svc",
		},
		"the same in a namespace by its flag": {
			issuer: "https://old.identity.svc", given: []string{"--system-namespace=identity", "--serving-dns-names=new.identity.svc"},
			fails: "set the issuer to https://new.identity.svc",
		},
	} {
		t.Run(name, func(t *testing.T) {
			o, err := app.ParseFlags(append([]string{"--issuer=" + c.issuer, "--kubeconfig=" + file}, c.given...), io.Discard)
			if c.fails != "" {
				if err == nil || !strings.Contains(err.Error(), c.fails) {
					t.Fatalf("%v, want %q", err, c.fails)
				}
				return
			}
			if diff := cmp.Diff(c.want, o.ServingNames); err != nil || diff != "" {
				t.Errorf("%v (-want +got):\n%s", err, diff)
			}
		})
	}
}

// TestLease: two managers never work at the same time, whatever the times are.
func TestLease(t *testing.T) {
	file := kubeconfigFile(t)
	for name, c := range map[string]struct {
		given []string
		want  app.Lease
		fails bool
	}{
		"left out": {want: app.DefaultLease()},
		"set": {
			given: []string{"--leader-elect-lease-duration=15s", "--leader-elect-renew-deadline=10s", "--leader-elect-retry-period=1s"},
			want:  app.Lease{Duration: 15 * time.Second, RenewDeadline: 10 * time.Second, RetryPeriod: time.Second},
		},
		"a lease that ends before its holder does": {given: []string{"--leader-elect-lease-duration=45s"}, fails: true},
		"a deadline without a second attempt":      {given: []string{"--leader-elect-renew-deadline=2s"}, fails: true},
		"no pause between attempts":                {given: []string{"--leader-elect-retry-period=10ms"}, fails: true},
		"a lease that the API cannot write down":   {given: []string{"--leader-elect-lease-duration=60s500ms"}, fails: true},
	} {
		t.Run(name, func(t *testing.T) {
			o, err := app.ParseFlags(append([]string{"--issuer=https://hallpass.example.com", "--kubeconfig=" + file}, c.given...), io.Discard)
			if (err != nil) != c.fails {
				t.Fatalf("%v, want a failure: %t", err, c.fails)
			}
			if diff := cmp.Diff(c.want, o.Lease); !c.fails && diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// TestTrust: what is written into Secrets as ca.crt verifies the URLs beside it.
func TestTrust(t *testing.T) {
	dir := t.TempDir()
	file, ca, none := filepath.Join(dir, "kubeconfig"), filepath.Join(dir, "ca.crt"), filepath.Join(dir, "none.crt")
	server := httptest.NewTLSServer(nil)
	server.Close()
	certificate := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	for name, content := range map[string][]byte{file: []byte(kubeconfig), ca: certificate, none: []byte("none")} {
		if err := os.WriteFile(name, content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	const names, internal = "--serving-dns-names=tokens.hallpass-system.svc", "--internal-url=https://tokens.hallpass-system.svc"
	for name, c := range map[string]struct {
		given       []string
		internalURL string
		fails       string
	}{
		"left out":                         {},
		"an address of the Service":        {given: []string{names, internal}, internalURL: "https://tokens.hallpass-system.svc/oauth2/token"},
		"with public authorities":          {given: []string{names, internal, "--issuer-ca=public"}, internalURL: "https://tokens.hallpass-system.svc/oauth2/token"},
		"with a bundle":                    {given: []string{"--issuer-ca=" + ca}},
		"a name that is not certified":     {given: []string{internal}, fails: "add tokens.hallpass-system.svc to --serving-dns-names"},
		"one that others certify":          {given: []string{internal, "--manage-serving-certificate=false"}, internalURL: "https://tokens.hallpass-system.svc/oauth2/token"},
		"no origin":                        {given: []string{"--internal-url=tokens.hallpass-system.svc"}, fails: "--internal-url"},
		"a bundle that is not there":       {given: []string{"--issuer-ca=" + ca + "x"}, fails: "--issuer-ca"},
		"a bundle without any certificate": {given: []string{"--issuer-ca=" + none}, fails: "has no certificate in PEM"},
	} {
		t.Run(name, func(t *testing.T) {
			o, err := app.ParseFlags(append([]string{"--issuer=https://hallpass.example.com", "--kubeconfig=" + file}, c.given...), io.Discard)
			if c.fails != "" {
				if err == nil || !strings.Contains(err.Error(), c.fails) {
					t.Errorf("%v, want %q", err, c.fails)
				}
				return
			}
			if err != nil || o.Issuer.InternalURL(oauth2.TokenPath) != c.internalURL || o.Issuer.String() != "https://hallpass.example.com" {
				t.Errorf("%v, internal URL %q", err, o.Issuer.InternalURL(oauth2.TokenPath))
			}
		})
	}
}

// TestLoginHasAnOriginOfItsOwn so that cookies and pages stay apart from tokens.
func TestLoginHasAnOriginOfItsOwn(t *testing.T) {
	file := kubeconfigFile(t)
	for name, c := range map[string]struct{ given, want, fails string }{
		"left out":             {},
		"an origin":            {given: "--login-url=https://login.example.com", want: "https://login.example.com"},
		"none":                 {given: "--login-url="},
		"that of the issuer":   {given: "--login-url=https://hallpass.example.com", fails: "give login an origin of its own"},
		"a URL with a path":    {given: "--login-url=https://login.example.com/login", fails: "is not an https origin"},
		"a slash at the end":   {given: "--login-url=https://login.example.com/", fails: "is not an https origin"},
		"an origin of no name": {given: "--login-url=login.example.com", fails: "is not an https origin"},
		"plain http":           {given: "--login-url=http://login.example.com", fails: "is not an https origin"},
	} {
		given := []string{"--issuer=https://hallpass.example.com", "--kubeconfig=" + file}
		if c.given != "" {
			given = append(given, c.given)
		}
		o, err := app.ParseFlags(given, io.Discard)
		switch {
		case c.fails != "" && (err == nil || !strings.Contains(err.Error(), c.fails)):
			t.Errorf("%s: %v, want %q", name, err, c.fails)
		case c.fails == "" && (err != nil || o.LoginURL != c.want):
			t.Errorf("%s: %q, %v", name, o.LoginURL, err)
		}
	}
}

func TestTheUsageShowsShortDurations(t *testing.T) {
	var usage strings.Builder
	if _, err := app.ParseFlags([]string{"--help"}, &usage); !errors.Is(err, flag.ErrHelp) {
		t.Fatal(err)
	}
	if long := regexp.MustCompile(`default [0-9hms]*(h0m|m0s)[0-9hms]*\)`).FindAllString(usage.String(), -1); len(long) > 0 {
		t.Errorf("%q", long)
	}
}
