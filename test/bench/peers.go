// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/hallpass-dev/hallpass/internal/oauth2"
	"github.com/hallpass-dev/hallpass/test/bench/population"
	"github.com/hallpass-dev/hallpass/test/kit/installation"
)

// peerPath and peerClient are what the servers of test/bench/peers have in common.
const peerPath = "/oauth/token"

func peerClient() population.Client {
	return population.Client{ID: "sid1", Secret: oauth2.NewSecret("verysecret")}
}

// peer is another token server: build makes the command that starts it, to which its address is
// added.
type peer struct {
	name  string
	build func(ctx context.Context, sources string) (program []string, err error)
}

// running is a peer that has started.
type running struct {
	*process

	// token and introspection are the calls that it is measured with. A peer whose
	// introspection is not measured has none.
	token, introspection *call
}

// startPeers builds and starts other token servers. They are in modules of their own, whose many
// dependencies stay out of go.mod.
func (w *world) startPeers(ctx context.Context) error {
	if !w.peers {
		return nil
	}
	bench, err := directory(ctx, module+"test/bench")
	if err != nil {
		return err
	}
	others := []peer{{"zitadel", w.goPeer("zitadel")}, {"fosite", w.goPeer("fosite")}}
	if _, err := exec.LookPath("npm"); err == nil {
		others = append(others, peer{"oidc-provider", w.npmPeer("oidcprovider")})
	} else {
		w.print("there is no npm here, so oidc-provider is left out\n")
	}
	for _, other := range others {
		program, err := other.build(ctx, filepath.Join(bench, "peers"))
		if err != nil {
			return err
		}
		address, err := installation.FreeAddress()
		if err != nil {
			return err
		}
		p, err := launch(ctx, w.dir, other.name, []string{"NODE_ENV=production"}, append(program, address)...)
		if err != nil {
			return err
		}
		p.plain = "http://" + address
		token := tokenRequest(peerClient())
		token.path, token.body = peerPath, token.body+"&scope=read"
		r := &running{process: p, token: &token}
		w.processes, w.others = append(w.processes, p), append(w.others, r)
		if err := w.serves(ctx, r, startLimit); err != nil {
			return err
		}
	}
	return w.startKeycloak(ctx, filepath.Join(bench, "peers", "keycloak"))
}

// goPeer is one of the Go module of the peers.
func (w *world) goPeer(name string) func(context.Context, string) ([]string, error) {
	return func(ctx context.Context, sources string) ([]string, error) {
		command := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags=-s -w", "-o", w.file(name), "./"+name)
		command.Dir, command.Env = sources, append(os.Environ(), "CGO_ENABLED=0")
		if output, err := command.CombinedOutput(); err != nil {
			return nil, fmt.Errorf("build %s: %w: %s", name, err, output)
		}
		return []string{w.file(name)}, nil
	}
}

// npmPeer is one for Node.js. What it depends on is fetched beside a copy, so that the sources stay
// as they are.
func (w *world) npmPeer(name string) func(context.Context, string) ([]string, error) {
	return func(ctx context.Context, sources string) ([]string, error) {
		if err := os.CopyFS(w.file(name), os.DirFS(filepath.Join(sources, name))); err != nil {
			return nil, fmt.Errorf("copy %s: %w", name, err)
		}
		command := exec.CommandContext(ctx, "npm", "ci", "--silent")
		command.Dir = w.file(name)
		if output, err := command.CombinedOutput(); err != nil {
			return nil, fmt.Errorf("npm ci for %s: %w: %s", name, err, output)
		}
		return []string{"node", filepath.Join(w.file(name), "main.js")}, nil
	}
}

// serves waits until a peer issues a token.
func (w *world) serves(ctx context.Context, r *running, limit time.Duration) error {
	c := w.peer(r, r.token)
	defer c.caller.close()
	return within(ctx, limit, func() error { return c.call(ctx, path{}, call{}) })
}

// peer is one that takes part: it gets the same request with the credentials of its own client.
func (w *world) peer(r *running, fixed *call) *contestant {
	return &contestant{process: r.process, world: w, fixed: fixed, caller: w.byHTTP(plainHTTP, r.plain)}
}

// peersOn are the peers that take part on a path.
func (w *world) peersOn(p path) []*contestant {
	var contestants []*contestant
	for _, r := range w.others {
		fixed := map[string]*call{fetching: r.token, seenBefore: r.introspection}[p.name]
		if p.transport == plainHTTP && fixed != nil {
			contestants = append(contestants, w.peer(r, fixed))
		}
	}
	return contestants
}

// directory is where a package is.
func directory(ctx context.Context, pkg string) (string, error) {
	output, err := exec.CommandContext(ctx, "go", "list", "-f", "{{.Dir}}", pkg).Output()
	if err != nil {
		return "", fmt.Errorf("find %s: %w", pkg, err)
	}
	return string(output[:len(output)-1]), nil
}
