// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

// Package proxy renders the configuration of a proxy that asks Hallpass about each request to an
// API. The templates are the files of docs/proxies, which run in the tests with real proxies: a
// test compares what this package renders with them. The package is pure.
package proxy

import (
	"cmp"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"text/template"
)

//go:embed templates
var templates embed.FS

// kinds are the files of each proxy.
var kinds = map[string][]string{ //nolint:gochecknoglobals // a constant table
	"nginx": {"nginx.conf", "hallpass.conf"}, "haproxy": {"haproxy.cfg"}, "caddy": {"Caddyfile"}, "envoy": {"envoy.yaml"},
}

// Kinds are the proxies.
func Kinds() []string { return slices.Sorted(maps.Keys(kinds)) }

// Route is a path, with all below it, and the scope that it needs.
type Route struct{ Path, Scope string }

// Config is what a configuration is made of.
type Config struct {
	// Issuer is the origin of the token server, and Audience the identifier of the API.
	Issuer, Audience string
	// Name is that of the OAuth2Resource.
	Name string
	// Upstream is the host and port of the API.
	Upstream string
	Listen   int
	Routes   []Route
	// Open are paths that need no token.
	Open []string
}

// File is a file of a configuration.
type File struct{ Name, Content string }

// Render renders the files of a proxy.
func Render(kind string, c Config) ([]File, error) {
	names, known := kinds[kind]
	if !known {
		return nil, fmt.Errorf("there is no configuration for %q; there are those for %s", kind, strings.Join(Kinds(), ", "))
	}
	data, err := check(c)
	if err != nil {
		return nil, err
	}
	return execute(names, data)
}

// execute executes templates.
func execute(names []string, data rendered) ([]File, error) {
	parsed, err := template.New("").Delims("<<", ">>").Funcs(template.FuncMap{"json": quoted}).ParseFS(templates, "templates/*")
	if err != nil {
		return nil, fmt.Errorf("parse the templates: %w", err)
	}
	files := make([]File, 0, len(names))
	for _, name := range names {
		var content strings.Builder
		if err := parsed.ExecuteTemplate(&content, name, data); err != nil {
			return nil, fmt.Errorf("render %s: %w", name, err)
		}
		files = append(files, File{name, content.String()})
	}
	return files, nil
}

// quoted is a text as a string of YAML.
func quoted(text string) (string, error) {
	rendered, err := json.Marshal(text)
	return string(rendered), err
}

// rendered is a configuration with what templates need of it.
type rendered struct {
	Config

	// Address is the host and port of the token server, Host what a Host header has, and
	// Hostname the name that its certificate has.
	Address, Host, Hostname    string
	UpstreamHost, UpstreamPort string
	Routes                     []route
	// Scopes are the different ones of the routes.
	Scopes  []route
	Default route
}

// route is a route with what templates need of it.
type route struct {
	Route

	// Label is the scope as a part of a path, and ACL the path as the name of a rule.
	Label, ACL string
	// Encoded is the scope as a part of a query, and Query what is required.
	Encoded, Query string
	// Condition chooses the route in HAProxy, where each rule is evaluated.
	Condition string
}

var (
	// plainPath has nothing in it that a proxy gives a meaning to.
	plainPath  = regexp.MustCompile(`^/[A-Za-z0-9._~/-]*$`)
	plainLabel = regexp.MustCompile(`^[A-Za-z0-9._-]{1,64}$`)
	plainHost  = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?$`)
	plainURI   = regexp.MustCompile(`^https://[A-Za-z0-9.:/_~-]+$`)
	notLetters = regexp.MustCompile(`[^a-zA-Z0-9]+`)
)

const maxPort = 65535

// check refuses what has no place in a configuration, and completes the rest.
func check(c Config) (rendered, error) {
	r := rendered{Config: c}
	issuer, err := url.Parse(c.Issuer)
	if err != nil || !plainURI.MatchString(c.Issuer) || !plainURI.MatchString(c.Audience) {
		return rendered{}, fmt.Errorf("the issuer %q and the identifier %q have to be https URIs", c.Issuer, c.Audience)
	}
	r.Host, r.Hostname = issuer.Host, issuer.Hostname()
	r.Address = net.JoinHostPort(issuer.Hostname(), cmp.Or(issuer.Port(), "443"))
	if r.UpstreamHost, r.UpstreamPort, err = net.SplitHostPort(c.Upstream); err != nil || !plainHost.MatchString(r.UpstreamHost) || !isPort(r.UpstreamPort) {
		return rendered{}, fmt.Errorf("--upstream=%q is no host and port, such as orders-api.orders.svc:8080", c.Upstream)
	}
	if c.Listen < 1 || c.Listen > maxPort {
		return rendered{}, fmt.Errorf("--listen=%d is no port, from 1 to %d", c.Listen, maxPort)
	}
	if r.Name = c.Name; r.Name == "hallpass" { // the name of the token server in these files
		r.Name = "hallpass-api"
	}
	if err := checkOpen(c.Open); err != nil {
		return rendered{}, err
	}
	return r, r.addRoutes()
}

func checkOpen(paths []string) error {
	for _, path := range paths {
		if !plainPath.MatchString(path) || path == "/" {
			return fmt.Errorf("--open=%q is no path below /, of letters, digits, '-', '.', '_' and '~'", path)
		}
	}
	return nil
}

func isPort(text string) bool {
	port, err := strconv.Atoi(text)
	return err == nil && port >= 1 && port <= maxPort
}

// addRoutes sorts the routes so that the first that matches is the right one.
func (r *rendered) addRoutes() error {
	routes := slices.Clone(r.Config.Routes)
	slices.SortStableFunc(routes, func(a, b Route) int {
		return cmp.Or(cmp.Compare(len(b.Path), len(a.Path)), cmp.Compare(a.Path, b.Path))
	})
	names := map[string]string{}
	for i, one := range routes {
		switch {
		case !plainPath.MatchString(one.Path) || strings.Contains(one.Path, "//"):
			return fmt.Errorf("--route=%s=%s: %q is no path of letters, digits, '-', '.', '_' and '~'", one.Path, one.Scope, one.Path)
		case i > 0 && routes[i-1].Path == one.Path:
			return fmt.Errorf("--route=%s is given twice; one path needs one scope", one.Path)
		}
		added := route{Route: one, Label: label(one.Scope, i), Encoded: url.QueryEscape(one.Scope)}
		added.Query = "audience=" + r.Audience + "&scope=" + added.Encoded
		added.ACL = "path_" + strconv.Itoa(i)
		if letters := strings.Trim(notLetters.ReplaceAllString(one.Path, "_"), "_"); letters != "" && letters != "open" && names[letters] == "" {
			added.ACL, names[letters] = letters, one.Path
		}
		r.Routes = append(r.Routes, added)
		if !slices.ContainsFunc(r.Scopes, func(s route) bool { return s.Scope == one.Scope }) {
			r.Scopes = append(r.Scopes, added)
		}
	}
	if len(routes) == 0 || routes[len(routes)-1].Path != "/" {
		return errors.New("no scope is given for the rest of the paths: add --route /=SCOPE, so that everything needs a token")
	}
	r.Default = r.Routes[len(r.Routes)-1]
	for i := range r.Routes {
		r.Routes[i].Label = r.labelOf(r.Routes[i].Scope)
		r.Routes[i].Condition = r.condition(i)
	}
	return nil
}

// label is a scope as a part of a path.
func label(scope string, i int) string {
	if plainLabel.MatchString(scope) && strings.Trim(scope, ".") != "" {
		return scope
	}
	return "scope-" + strconv.Itoa(i)
}

// labelOf is the label that a scope has in all of its routes.
func (r *rendered) labelOf(scope string) string {
	for _, s := range r.Scopes {
		if s.Scope == scope {
			return s.Label
		}
	}
	return ""
}

// condition chooses a route where no longer one matches.
func (r *rendered) condition(at int) string {
	var terms []string
	if slices.ContainsFunc(r.Open, func(path string) bool { return strings.HasPrefix(path, r.Routes[at].Path) }) {
		terms = append(terms, "!open")
	}
	for i, longer := range r.Routes[:at] {
		if strings.HasPrefix(longer.Path, r.Routes[at].Path) {
			terms = append(terms, "!"+r.Routes[i].ACL)
		}
	}
	if r.Routes[at].Path != "/" {
		terms = append(terms, r.Routes[at].ACL)
	}
	if len(terms) == 0 {
		return ""
	}
	return "if " + strings.Join(terms, " ")
}
