// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"

	"github.com/hallpass-dev/hallpass/internal/oauth2"
	"github.com/hallpass-dev/hallpass/test/bench/population"
)

// peerPath and peerClient are what the servers of test/bench/peers have in common.
const peerPath = "/oauth/token"

func peerClient() population.Client {
	return population.Client{ID: "sid1", Secret: oauth2.NewSecret("verysecret")}
}

// startPeers builds and starts other token servers. They are in a module of their own, whose many dependencies are none of ours.
func (w *world) startPeers(ctx context.Context) error {
	if !w.peers {
		return nil
	}
	module, err := directory(ctx, module+"test/bench")
	if err != nil {
		return err
	}
	for _, name := range []string{"zitadel", "fosite"} {
		command := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags=-s -w", "-o", w.file(name), "./"+name)
		command.Dir, command.Env = module+"/peers", append(os.Environ(), "CGO_ENABLED=0")
		if output, err := command.CombinedOutput(); err != nil {
			return fmt.Errorf("build %s: %w: %s", name, err, output)
		}
		address, err := freeAddress()
		if err != nil {
			return err
		}
		p, err := launch(ctx, w.dir, name, nil, w.file(name), address)
		if err != nil {
			return err
		}
		p.plain = "http://" + address
		w.processes, w.others = append(w.processes, p), append(w.others, p)
		if err := w.serves(ctx, p); err != nil {
			return err
		}
	}
	return nil
}

// serves waits until a peer issues a token.
func (w *world) serves(ctx context.Context, p *process) error {
	c := w.peer(p)
	defer c.caller.CloseIdleConnections()
	return patiently(ctx, func() error { return c.call(ctx, path{}, call{}) })
}

// peer is a peer as a contestant: it gets the same request with the credentials of its own client.
func (w *world) peer(p *process) *contestant {
	fixed := call{http.MethodPost, peerPath, basic(peerClient()), "grant_type=client_credentials&scope=read"}
	return &contestant{process: p, origin: p.plain, fixed: &fixed, caller: w.caller(plainHTTP)}
}

// directory is where a package is.
func directory(ctx context.Context, pkg string) (string, error) {
	output, err := exec.CommandContext(ctx, "go", "list", "-f", "{{.Dir}}", pkg).Output()
	if err != nil {
		return "", fmt.Errorf("find %s: %w", pkg, err)
	}
	return string(output[:len(output)-1]), nil
}
