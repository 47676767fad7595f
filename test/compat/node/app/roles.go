// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"
)

// api admits every caller with a valid token.
type api struct{ server *server }

func (a *api) answer(w http.ResponseWriter, r *http.Request) {
	token, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	v, err := a.server.introspect(r.Context(), token)
	switch {
	case err != nil:
		write(w, http.StatusBadGateway, err.Error())
	case !v.Active:
		write(w, http.StatusUnauthorized, v)
	default:
		write(w, http.StatusOK, v)
	}
}

// caller fetches tokens and calls the API with them.
type caller struct {
	server *server
	target string

	mu      sync.Mutex
	tally   tally
	end     context.CancelFunc
	running sync.WaitGroup
}

// tally is what came of the load.
type tally struct {
	Calls    int      `json:"calls"`
	Failures []string `json:"failures"`
}

// call is one journey: a token, and with it the API, which has it introspected. Nothing is tried
// twice.
func (c *caller) call(ctx context.Context, anew bool) (verdict, error) {
	token, err := c.server.token(ctx, anew)
	if err != nil {
		return verdict{}, err
	}
	return c.api(ctx, token)
}

func (c *caller) api(ctx context.Context, token string) (v verdict, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, c.target, http.NoBody)
	if err != nil {
		return verdict{}, err
	}
	request.Header.Set("Authorization", "Bearer "+token)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return verdict{}, fmt.Errorf("call the API: %w", err)
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusOK {
		var reason any
		_ = json.NewDecoder(response.Body).Decode(&reason)
		return verdict{}, fmt.Errorf("the API answers %s: %v", response.Status, reason)
	}
	return v, json.NewDecoder(response.Body).Decode(&v)
}

// result is what /once answers. Credential is the id of the secret that is mounted, which is no
// secret.
type result struct {
	verdict

	Credential string `json:"credential"`
	// Stranger is the status that the API answers to a token that was changed.
	Stranger string `json:"stranger"`
}

func (c *caller) once(w http.ResponseWriter, r *http.Request) {
	v, err := c.call(r.Context(), true)
	if err != nil {
		write(w, http.StatusBadGateway, err.Error())
		return
	}
	answer := result{verdict: v}
	if parts := strings.Split(file("client_secret"), "_"); len(parts) > 1 {
		answer.Credential = parts[1]
	}
	if _, err := c.api(r.Context(), "not.a.token"); err != nil {
		answer.Stranger = err.Error()
	}
	write(w, http.StatusOK, answer)
}

// The load is that of a few callers, half of whose token requests come on new connections.
const (
	loops        = 4
	pauseBetween = 10 * time.Millisecond
	keptFailures = 20
)

func (c *caller) start(w http.ResponseWriter, r *http.Request) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.end != nil {
		write(w, http.StatusConflict, "it runs already")
		return
	}
	// it outlives the request that starts it
	ctx, cancel := context.WithCancel(context.WithoutCancel(r.Context()))
	c.tally, c.end = tally{}, cancel
	for range loops {
		c.running.Go(func() { c.loop(ctx) })
	}
	write(w, http.StatusOK, "started")
}

func (c *caller) loop(ctx context.Context) {
	for anew := false; ctx.Err() == nil; anew = !anew {
		_, err := c.call(context.WithoutCancel(ctx), anew)
		c.mu.Lock()
		if c.tally.Calls++; err != nil && len(c.tally.Failures) < keptFailures {
			c.tally.Failures = append(c.tally.Failures, time.Now().Format(time.TimeOnly)+" "+err.Error())
		}
		c.mu.Unlock()
		time.Sleep(pauseBetween)
	}
}

// count answers how many calls there were since the start.
func (c *caller) count(w http.ResponseWriter, _ *http.Request) {
	c.mu.Lock()
	defer c.mu.Unlock()
	write(w, http.StatusOK, c.tally.Calls)
}

func (c *caller) stop(w http.ResponseWriter, _ *http.Request) {
	c.mu.Lock()
	end := c.end
	c.end = nil
	c.mu.Unlock()
	if end == nil {
		write(w, http.StatusConflict, "nothing runs")
		return
	}
	end()
	c.running.Wait()
	c.mu.Lock()
	defer c.mu.Unlock()
	write(w, http.StatusOK, c.tally)
}
