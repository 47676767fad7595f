// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/cmd/kubectl-hallpass/cluster"
	"github.com/hallpass-dev/hallpass/cmd/kubectl-hallpass/proxy"
)

// generateCommand renders configurations of proxies.
type generateCommand struct{ *plugin }

// defaultListen is the port that a generated proxy listens on.
const defaultListen = 8080

// generating are the flags of generate.
type generating struct {
	upstream string
	issuer   string
	dir      string
	listen   int
	routes   []string
	open     []string
}

func (p generateCommand) command() *cobra.Command {
	command := &cobra.Command{
		Use: "generate", Short: "Print the configuration of a proxy that lets only good tokens pass to an API",
		Long: "Print the configuration of a proxy in front of an API. The proxy asks Hallpass about each request, so a revoked token is refused from the next request on.\n\n" +
			"Each path needs a scope, with all paths below it: a folder of the API is a route, and what one may do there is a scope.",
		Args: noArguments,
		RunE: help,
	}
	for _, kind := range proxy.Kinds() {
		command.AddCommand(p.generator(kind))
	}
	return command
}

func (p generateCommand) generator(kind string) *cobra.Command {
	var o generating
	command := &cobra.Command{
		Use: kind + " RESOURCE --upstream HOST:PORT --route PATH=SCOPE", Short: "Print a configuration of " + kind,
		Example: fmt.Sprintf("  kubectl hallpass generate %s orders-api --namespace orders --upstream orders-api.orders.svc:8080 \\\n"+
			"    --route /=orders.read --route /admin=orders.write --open /healthz", kind),
		Args: names("resource", 1, 1), ValidArgsFunction: p.completeNames(cluster.Resources(), false),
		RunE: func(command *cobra.Command, args []string) error {
			return p.runGenerate(command.Context(), kind, o, args[0])
		},
	}
	flags := command.Flags()
	flags.StringVar(&o.upstream, "upstream", "", "Host and port of the API behind the proxy (required)")
	flags.StringArrayVar(&o.routes, "route", nil, "Path and the scope that it needs with all paths below it, such as /admin=orders.write; "+
		"left out everything needs the only scope of the resource; may be repeated")
	flags.StringArrayVar(&o.open, "open", nil, "Path that needs no token, such as /healthz; may be repeated")
	flags.IntVar(&o.listen, "listen", defaultListen, "Port that the proxy listens on")
	flags.StringVar(&o.issuer, "issuer", "", "Origin of the token server; left out it is that of the resource's identifier")
	flags.StringVar(&o.dir, "output-dir", "", "Directory to write the files into, instead of printing them")
	return command
}

func (p generateCommand) runGenerate(ctx context.Context, kind string, o generating, name string) error {
	c, err := p.connect()
	if err != nil {
		return err
	}
	r, err := cluster.Read[v1alpha1.OAuth2Resource](ctx, c, cluster.Resources(), name)
	if err != nil {
		return err
	}
	config, err := o.config(r)
	if err != nil {
		return err
	}
	files, err := proxy.Render(kind, config)
	if err != nil {
		return usageError{err}
	}
	return p.print(files, o.dir)
}

func (p generateCommand) print(files []proxy.File, dir string) error {
	p.say("ca.crt of any Secret that Hallpass writes goes to /etc/hallpass/ca.crt. docs/proxies/README.md has what else the proxy needs.")
	for _, file := range files {
		if err := p.writeFile(file, dir, len(files) > 1); err != nil {
			return err
		}
	}
	return nil
}

// config combines the flags and the resource.
func (o generating) config(r *v1alpha1.OAuth2Resource) (proxy.Config, error) {
	c := proxy.Config{Issuer: o.issuer, Audience: r.Status.Identifier, Name: r.Name, Upstream: o.upstream, Listen: o.listen, Open: o.open}
	if c.Audience == "" {
		return c, fmt.Errorf("OAuth2Resource %q has no identifier yet: kubectl hallpass describe resource %s --namespace %s shows why", r.Name, r.Name, r.Namespace)
	}
	if c.Issuer == "" {
		issuer, found := strings.CutSuffix(c.Audience, "/resources/"+r.Namespace+"/"+r.Name)
		if !found {
			return c, usagef("the identifier %s is not below the issuer; give the issuer: --issuer=https://hallpass.example.com", c.Audience)
		}
		c.Issuer = issuer
	}
	var err error
	c.Routes, err = routes(r, o.routes)
	return c, err
}

// routes are the paths and the scopes that they need.
func routes(r *v1alpha1.OAuth2Resource, texts []string) ([]proxy.Route, error) {
	var scopes []string
	for _, s := range r.Spec.Scopes {
		scopes = append(scopes, string(s.Name))
	}
	if len(texts) == 0 {
		if len(scopes) != 1 {
			return nil, usagef("OAuth2Resource %q has %d scopes (%s). Set which path needs which: --route /=SCOPE --route /admin=SCOPE",
				r.Name, len(scopes), strings.Join(scopes, ", "))
		}
		return []proxy.Route{{Path: "/", Scope: scopes[0]}}, nil
	}
	return namedRoutes(r.Name, scopes, texts)
}

// namedRoutes are the routes that flags name.
func namedRoutes(resource string, scopes, texts []string) ([]proxy.Route, error) {
	var all []proxy.Route
	for _, text := range texts {
		path, scope, found := strings.Cut(text, "=")
		if !found {
			return nil, usagef("--route=%s names no scope; write it as --route /admin=orders.write", text)
		}
		if !slices.Contains(scopes, scope) {
			return nil, usagef("--route=%s: OAuth2Resource %q does not define that scope; it defines %s", text, resource, strings.Join(scopes, ", "))
		}
		all = append(all, proxy.Route{Path: path, Scope: scope})
	}
	return all, nil
}

// writeFile prints a file, with its name before it where there are several, or writes it.
func (p generateCommand) writeFile(file proxy.File, dir string, several bool) error {
	if dir == "" {
		header := ""
		if several {
			header = "# ---- " + file.Name + "\n"
		}
		return p.text(header + file.Content)
	}
	path := filepath.Join(dir, file.Name)
	if err := writeNew(path, file.Content); err != nil {
		return err
	}
	p.say("%s is written.", path)
	return nil
}

// writeNew writes a file that is not there.
func writeNew(path, content string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil { //nolint:gosec // configurations without a secret
		return fmt.Errorf("make the directory: %w", err)
	}
	created, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644) //nolint:gosec // a configuration without a secret, where the user wants it
	if err != nil {
		if errors.Is(err, os.ErrExist) {
			return fmt.Errorf("%s is there already, and is not replaced. Delete it, or choose another directory with --output-dir", path)
		}
		return fmt.Errorf("write a file: %w", err)
	}
	_, err = created.WriteString(content)
	if err = errors.Join(err, created.Close()); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return nil
}
