// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package proxy_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"

	"github.com/hallpass-dev/hallpass/cmd/kubectl-hallpass/proxy"
)

// documented is what the files of docs/proxies are made of.
func documented() proxy.Config {
	const issuer = "https://hallpass-tokenserver.hallpass-system.svc"
	return proxy.Config{
		Issuer: issuer, Audience: issuer + "/ns/shop", Name: "orders-api", Upstream: "orders-api.shop.svc:8080", Listen: 8080,
		Routes: []proxy.Route{{Path: "/", Scope: "read"}, {Path: "/admin", Scope: "write"}}, Open: []string{"/healthz"},
	}
}

// TestTheFilesAreThoseOfTheDocumentation holds what is rendered to the files that the tests of
// test/compat/proxies run with real proxies.
func TestTheFilesAreThoseOfTheDocumentation(t *testing.T) {
	for _, kind := range proxy.Kinds() {
		files, err := proxy.Render(kind, documented())
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			page, err := os.ReadFile(filepath.Join("..", "..", "..", "docs", "proxies", file.Name))
			if err != nil {
				t.Fatal(err)
			}
			want, got := meaning(t, file.Name, documentedNames(string(page))), meaning(t, file.Name, file.Content)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s (-documented +rendered):\n%s", file.Name, diff)
			}
		}
	}
}

// documentedNames gives listeners of the documentation the names that are rendered.
func documentedNames(page string) string {
	return strings.NewReplacer(
		"frontend orders\n", "frontend orders-api-callers\n", "name: orders\n", "name: orders-api\n", "stat_prefix: orders\n", "stat_prefix: orders-api\n",
	).Replace(page)
}

// meaning is a file without its comments, and without an order that means nothing to the proxy:
// that of locations in nginx, and that of rules whose conditions exclude each other in HAProxy.
func meaning(t *testing.T, name, text string) any {
	t.Helper()
	if filepath.Ext(name) == ".yaml" {
		var document any
		if err := yaml.Unmarshal([]byte(text), &document); err != nil {
			t.Fatal(err)
		}
		return document
	}
	var paragraphs [][]string
	for paragraph := range strings.SplitSeq(text, "\n\n") {
		var lines []string
		for line := range strings.Lines(paragraph) {
			line = strings.TrimRight(line, "\n")
			if trimmed := strings.TrimSpace(line); trimmed != "" && !strings.HasPrefix(trimmed, "#") {
				lines = append(lines, line)
			}
		}
		if name == "haproxy.cfg" {
			slices.Sort(lines)
		}
		paragraphs = append(paragraphs, lines)
	}
	if name == "nginx.conf" {
		slices.SortFunc(paragraphs, slices.Compare)
	}
	return paragraphs
}

func TestTheLongestPathDecides(t *testing.T) {
	c := documented()
	c.Routes = append(c.Routes, proxy.Route{Path: "/admin/keys", Scope: "a:b+c"}, proxy.Route{Path: "/x", Scope: "write"})
	c.Open = append(c.Open, "/admin/health")
	files, err := proxy.Render("haproxy", c)
	if err != nil {
		t.Fatal(err)
	}
	const ask = `    http-request lua.hallpass "audience=https://hallpass-tokenserver.hallpass-system.svc/ns/shop&scope=`
	for _, want := range []string{
		ask + "a%3Ab%2Bc\" if admin_keys\n", ask + "write\" if !open !admin_keys admin\n", ask + "write\" if x\n", ask + "read\" if !open !admin_keys !admin !x\n",
	} {
		if !strings.Contains(files[0].Content, want) {
			t.Errorf("there is no rule %s in\n%s", want, files[0].Content)
		}
	}
	for kind, want := range map[string]string{
		"nginx": "location = /_hallpass/scope-0 {\n            proxy_pass https://hallpass/forward-auth?audience=" + c.Audience + "&scope=a%3Ab%2Bc;",
		"caddy": "import hallpass a%3Ab%2Bc\n", "envoy": `scope: "a:b+c"`,
	} {
		files, err := proxy.Render(kind, c)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(files[0].Content, want) {
			t.Errorf("%s has no %s:\n%s", kind, want, files[0].Content)
		}
	}
}

func TestNothingIsRenderedThatAProxyReadsInAnotherWay(t *testing.T) {
	for name, change := range map[string]func(*proxy.Config){
		"a path with a space":        func(c *proxy.Config) { c.Routes[1].Path = "/a b" },
		"a path that ends a line":    func(c *proxy.Config) { c.Routes[1].Path = "/a;\n}" },
		"a path with a variable":     func(c *proxy.Config) { c.Routes[1].Path = "/$host" },
		"a path with two slashes":    func(c *proxy.Config) { c.Routes[1].Path = "/a//b" },
		"a relative path":            func(c *proxy.Config) { c.Routes[1].Path = "admin" },
		"a path twice":               func(c *proxy.Config) { c.Routes = append(c.Routes, proxy.Route{Path: "/admin", Scope: "read"}) },
		"nothing for the rest":       func(c *proxy.Config) { c.Routes = c.Routes[1:] },
		"no route":                   func(c *proxy.Config) { c.Routes = nil },
		"everything is open":         func(c *proxy.Config) { c.Open = []string{"/"} },
		"an open path with a brace":  func(c *proxy.Config) { c.Open = []string{"/{a}"} },
		"no upstream":                func(c *proxy.Config) { c.Upstream = "" },
		"an upstream without a port": func(c *proxy.Config) { c.Upstream = "orders-api" },
		"an upstream with more":      func(c *proxy.Config) { c.Upstream = "a;b:80" },
		"a port that is none":        func(c *proxy.Config) { c.Upstream = "a:http" },
		"a port out of range":        func(c *proxy.Config) { c.Listen = 70000 },
		"an issuer that is none":     func(c *proxy.Config) { c.Issuer = "http://a" },
		"an audience with a quote":   func(c *proxy.Config) { c.Audience = `https://a/"` },
	} {
		c := documented()
		change(&c)
		if files, err := proxy.Render("nginx", c); err == nil {
			t.Errorf("%s: %s", name, files[0].Content)
		}
	}
	if _, err := proxy.Render("apache", documented()); err == nil {
		t.Error("a proxy without a template is rendered")
	}
}
