// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package login_test

import (
	"bufio"
	"context"
	"encoding/pem"
	"html"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/coreos/go-oidc/v3/oidc"

	"github.com/hallpass-dev/hallpass/internal/login"
)

const (
	upstreamURL = "https://op.example.com"
	upstreams   = "../../test/compat/login"
)

var (
	formTag  = regexp.MustCompile(`(?is)<form[^>]*action="([^"]*)"[^>]*>(.*?)</form>`)
	inputTag = regexp.MustCompile(`(?is)<input[^>]*>`)
	nameOf   = regexp.MustCompile(`(?i)\bname="([^"]*)"`)
	valueOf  = regexp.MustCompile(`(?i)\bvalue="([^"]*)"`)
)

// TestRealProviders logs in at providers that others have written.
func TestRealProviders(t *testing.T) {
	if testing.Short() {
		t.Skip("make long")
	}
	for name, c := range map[string]struct {
		command func(t *testing.T) []string
		// fields are what the person types, and subject who that is.
		fields  map[string]string
		subject string
	}{
		"zitadel/oidc": {func(t *testing.T) []string {
			t.Helper()
			program := filepath.Join(t.TempDir(), "zitadel")
			build := exec.CommandContext(t.Context(), "go", "build", "-trimpath", "-o", program, ".")
			build.Dir, build.Env = filepath.Join(upstreams, "zitadel"), append(os.Environ(), "CGO_ENABLED=0")
			if output, err := build.CombinedOutput(); err != nil {
				t.Fatalf("%v: %s", err, output)
			}
			return []string{program}
		}, map[string]string{"username": "test-user@op.example.com", "password": "verysecure"}, "id1"},
		"oidc-provider of npm": {func(t *testing.T) []string {
			t.Helper()
			if _, err := exec.LookPath("npm"); err != nil {
				t.Skip("NOT RUN: npm is not installed")
			}
			dir := t.TempDir()
			must(t, os.CopyFS(dir, os.DirFS(filepath.Join(upstreams, "oidc-provider"))))
			install := exec.CommandContext(t.Context(), "npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--prefer-offline")
			install.Dir = dir
			if output, err := install.CombinedOutput(); err != nil {
				if os.Getenv("CI") != "" {
					t.Fatalf("oidc-provider is not installed: %v: %s", err, output)
				}
				t.Skipf("oidc-provider is not installed: %v: %s", err, output)
			}
			return []string{"node", filepath.Join(dir, "provider.mjs")}
		}, map[string]string{"login": "alice", "password": "any"}, "alice"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.upstream(c.command(t))
			b := w.browser()
			left := b.do(http.MethodPost, loginURL+login.ConsentPath, b.get(authorize).form(t, "allow"))
			callback := b.signIn(left.onward(t), c.fields)
			if finished := b.get(callback); finished.status != http.StatusSeeOther || !strings.Contains(finished.location, "code=") {
				t.Fatalf("%d %s %s\n%s", finished.status, finished.location, finished.body, w.log)
			}
			if len(w.court.people) != 1 || w.court.people[0] != c.subject {
				t.Errorf("%v logged in, want %s", w.court.people, c.subject)
			}
			w.secrets.values["corp"] = "another"
			again := b.do(http.MethodPost, loginURL+login.ConsentPath, b.get(authorize).form(t, "allow"))
			if p := b.get(b.signIn(again.onward(t), c.fields)); p.title() != "Sign-in at your identity provider is not set up correctly" {
				t.Errorf("with another client secret: %d %s", p.status, p.body)
			}
		})
	}
}

// upstream starts a provider behind a proxy with the certificate of its issuer, which people are
// sent to from then on.
func (w *world) upstream(command []string) {
	w.t.Helper()
	process := exec.CommandContext(w.t.Context(), command[0], append(command[1:], upstreamURL, loginURL+"/callback/corp")...)
	output, err := process.StdoutPipe()
	must(w.t, err)
	process.Stderr = w.log
	must(w.t, process.Start())
	w.t.Cleanup(func() { _ = process.Process.Kill(); _ = process.Wait() })
	address, err := bufio.NewReader(output).ReadString('\n')
	must(w.t, err)
	to := &url.URL{Scheme: "http", Host: strings.TrimSpace(address)}
	proxy := httptest.NewTLSServer(&httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(to)
		r.SetXForwarded()
		r.Out.Host = r.In.Host
	}})
	w.t.Cleanup(proxy.Close)
	w.network.Add("op.example.com", proxy.Listener.Addr().String())
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: proxy.Certificate().Raw})
	of := &w.court.attempt.Provider
	of.Issuer, of.CABundle, of.Scopes = upstreamURL, ca, []string{"openid"}
	w.secrets.values["corp"] = "provider-secret"
	client, err := w.network.Outbound().Client(ca, nil)
	must(w.t, err)
	provider, err := oidc.NewProvider(oidc.ClientContext(context.Background(), client), upstreamURL)
	must(w.t, err)
	w.court.keys = provider.Verifier(&oidc.Config{ClientID: "hallpass"})
}

// signIn follows redirects and fills forms at the provider until it sends the browser back.
func (b *browser) signIn(address string, fields map[string]string) string {
	b.t.Helper()
	at, err := url.Parse(address)
	must(b.t, err)
	p := b.get(address)
	for range 20 {
		next := p.location
		var form url.Values
		if next == "" {
			found := formTag.FindStringSubmatch(p.body)
			if p.status != http.StatusOK || found == nil {
				b.t.Fatalf("%s: %d %s", at, p.status, p.body)
			}
			next, form = html.UnescapeString(found[1]), url.Values{}
			for _, input := range inputTag.FindAllString(found[2], -1) {
				name, value := nameOf.FindStringSubmatch(input), valueOf.FindStringSubmatch(input)
				switch {
				case name == nil:
				case fields[name[1]] != "":
					form.Set(name[1], fields[name[1]])
				case value != nil:
					form.Set(name[1], html.UnescapeString(value[1]))
				}
			}
		}
		to, err := at.Parse(next)
		must(b.t, err)
		if strings.HasPrefix(to.String(), loginURL+login.CallbackPath) {
			return to.String()
		}
		at = to
		if form == nil {
			p = b.get(to.String())
			continue
		}
		p = b.do(http.MethodPost, to.String(), form, func(r *http.Request) { r.Header.Set("Origin", upstreamURL) })
	}
	b.t.Fatalf("the provider does not send the browser back: %s", at)
	return ""
}
