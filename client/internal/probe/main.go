// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

// Command probe calls an API with the tokens of many clients while a test rotates their secrets. It
// reads a command a line and answers each with a line:
//
//	call NAME DIR OVERLAP   begin to call the API with the Secret in a directory: ok
//	fetch NAME              fetch a token as a program that starts does: ok or the error
//	post NAME               ask the token server by the source that calls: ok or the error
//	calls                   how many calls there were, how many failed, the first failure
package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/hallpass-dev/hallpass/client/token"
)

// interval is how often each client calls the API.
const interval = 250 * time.Millisecond

func main() {
	p := &probe{api: os.Getenv("API_URL"), clients: map[string]*client{}}
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		answer, err := p.do(context.Background(), strings.Fields(lines.Text()))
		if err != nil {
			answer = err.Error()
		}
		fmt.Println(strings.ReplaceAll(answer, "\n", " "))
	}
}

// client is one whose tokens the API gets.
type client struct {
	credential token.Credential
	overlap    time.Duration
	source     *token.Source
}

type probe struct {
	api     string
	clients map[string]*client

	mu           sync.Mutex
	made, failed int
	first        error
}

var errCommand = errors.New("the command is none of those that the comment of the package has")

func (p *probe) do(ctx context.Context, command []string) (string, error) {
	switch {
	case len(command) == 4 && command[0] == "call":
		return "ok", p.begin(ctx, command[1], command[2], command[3])
	case len(command) == 1 && command[0] == "calls":
		p.mu.Lock()
		defer p.mu.Unlock()
		return fmt.Sprintln(p.made, p.failed, p.first), nil
	case len(command) != 2 || p.clients[command[1]] == nil:
		return "", errCommand
	}
	c := p.clients[command[1]]
	switch command[0] {
	case "fetch":
		source, err := token.New(c.credential, token.WithOverlap(c.overlap))
		if err != nil {
			return "", err
		}
		_, err = source.Token(ctx)
		return "ok", err
	case "post":
		_, err := c.source.Post(ctx, "/oauth2/introspect", url.Values{"token": {"none"}})
		return "ok", err
	}
	return "", errCommand
}

func (p *probe) begin(ctx context.Context, name, dir, overlap string) error {
	parsed, err := time.ParseDuration(overlap)
	if err != nil {
		return fmt.Errorf("read the overlap: %w", err)
	}
	c := &client{credential: token.Secret(dir), overlap: parsed}
	if c.source, err = token.New(c.credential, token.WithOverlap(parsed)); err != nil {
		return err
	}
	p.clients[name] = c
	api := &http.Client{Transport: c.source.Transport(nil), Timeout: time.Minute}
	go func() {
		for range time.Tick(interval) {
			p.count(p.call(ctx, api))
		}
	}()
	return nil
}

func (p *probe) call(ctx context.Context, api *http.Client) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, p.api, http.NoBody)
	if err != nil {
		return fmt.Errorf("call the API: %w", err)
	}
	response, err := api.Do(request)
	if err != nil {
		return fmt.Errorf("call the API: %w", err)
	}
	defer func() { _ = response.Body.Close() }()
	_, err = io.Copy(io.Discard, response.Body)
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("call the API: %s", response.Status)
	}
	return err
}

func (p *probe) count(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.made++
	if err != nil {
		p.failed++
		if p.first == nil {
			p.first = err
		}
	}
}
