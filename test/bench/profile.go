// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
)

// profileSeconds is how long each path is profiled.
const profileSeconds = 5

// profile keeps the server busy on a path while its CPU profile is taken, and takes a heap profile
// then.
func (s settings) profile(ctx context.Context, p path, c *contestant) error {
	if s.profiles == "" {
		return nil
	}
	if err := os.MkdirAll(s.profiles, 0o750); err != nil {
		return err
	}
	name := strings.NewReplacer(",", "", " ", "-", "/", "").Replace(strings.ToLower(p.name + " " + string(p.transport)))
	done := make(chan error, 1)
	go func() {
		done <- fetch(ctx, fmt.Sprintf("%s/debug/pprof/profile?seconds=%d", c.profiles, profileSeconds), filepath.Join(s.profiles, name+".cpu.pprof"))
	}()
	for round := s.rounds; ; round++ {
		select {
		case err := <-done:
			if err != nil {
				return err
			}
			return fetch(ctx, c.profiles+"/debug/pprof/heap", filepath.Join(s.profiles, name+".heap.pprof"))
		default:
		}
		calls, err := p.prepare(c.world, round)
		if err != nil {
			return err
		}
		if _, err := s.send(ctx, p, c, calls); err != nil {
			return err
		}
	}
}

func fetch(ctx context.Context, url, file string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	content, err := io.ReadAll(response.Body)
	if err != nil {
		return err
	}
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answers %s", url, response.Status)
	}
	return os.WriteFile(file, content, 0o600)
}
