// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/hallpass-dev/hallpass/test/kit/installation"
	"github.com/hallpass-dev/hallpass/test/kit/keycloak"
)

const (
	keycloakRealm = "/realms/bench/protocol/openid-connect/token"
	// keycloakWarm is how many requests of each kind let the JVM compile what they use.
	keycloakWarm = 20_000
	// keycloakLimit is how long it may take to create its database and to serve.
	keycloakLimit = 5 * time.Minute
)

// startKeycloak starts Keycloak in production mode with an embedded database, with the realm and
// the client of a folder, and warms it up. Maven fetches its distribution.
func (w *world) startKeycloak(ctx context.Context, sources string) error {
	if missing := keycloak.Missing(); missing != nil {
		w.print("Keycloak is left out: %v\n", missing)
		return nil
	}
	kc, err := keycloak.Install(ctx, w.dir, sources)
	if err != nil {
		return err
	}
	address, err := installation.FreeAddress()
	if err != nil {
		return err
	}
	arguments, err := keycloak.Arguments(address, "http://"+address)
	if err != nil {
		return err
	}
	began := time.Now()
	p, err := launch(ctx, w.dir, "keycloak", nil, append([]string{kc}, arguments...)...)
	if err != nil {
		return err
	}
	p.plain = "http://" + address
	w.processes = append(w.processes, p)
	if p.pid, err = child(ctx, p.pid, "java"); err != nil {
		return err
	}
	token := tokenRequest(peerClient())
	token.path, token.body = keycloakRealm, token.body+"&scope=read"
	r := &running{process: p, token: &token}
	w.others = append(w.others, r)
	if err := w.serves(ctx, r, keycloakLimit); err != nil {
		return err
	}
	ready := time.Since(began)
	idle, err := residentMemory(p.pid)
	if err != nil {
		return err
	}
	if err := w.warmKeycloak(ctx, r); err != nil {
		return err
	}
	w.print("keycloak %s: %s, %s, over HTTP, default heap, one client; its first token %.1f s after the start (with the import of the realm), "+
		"then %.1f MiB resident, then warmed up with %d requests of each kind\n", keycloak.Version, keycloak.Build, keycloak.Start, ready.Seconds(), idle, keycloakWarm)
	return nil
}

// warmKeycloak sends requests of each kind that is measured.
func (w *world) warmKeycloak(ctx context.Context, r *running) error {
	token, err := w.tokenOf(ctx, r)
	if err != nil {
		return err
	}
	asked := introspection(peerClient(), token)
	asked.path = keycloakRealm + "/introspect"
	r.introspection = &asked
	for _, fixed := range []*call{r.token, r.introspection} {
		c := w.peer(r, fixed)
		_, err := w.send(ctx, path{}, c, make([]call, keycloakWarm))
		c.caller.close()
		if err != nil {
			return fmt.Errorf("warm up Keycloak: %w", err)
		}
	}
	return nil
}

// tokenOf fetches a token of a peer.
func (w *world) tokenOf(ctx context.Context, r *running) (string, error) {
	c := w.byHTTP(plainHTTP, r.plain)
	defer c.close()
	got, err := c.send(ctx, *r.token)
	if err != nil {
		return "", err
	}
	var answer struct {
		Token string `json:"access_token"`
	}
	if err := json.Unmarshal(got.body, &answer); err != nil {
		return "", fmt.Errorf("read a token of %s: %w", r.name, err)
	}
	if got.status != http.StatusOK || answer.Token == "" {
		return "", errors.New(r.name + " issues no token")
	}
	return answer.Token, nil
}

// child waits until a process has a child of that name, and returns it.
func child(ctx context.Context, of int, name string) (pid int, err error) {
	err = patiently(ctx, func() error {
		children, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", of, of))
		if err != nil {
			return err
		}
		for field := range strings.FieldsSeq(string(children)) {
			if got, _ := os.ReadFile("/proc/" + field + "/comm"); strings.TrimSpace(string(got)) == name {
				pid, err = strconv.Atoi(field)
				return err
			}
		}
		return fmt.Errorf("process %d has not started %s", of, name)
	})
	return pid, err
}
