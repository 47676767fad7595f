// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

// Command caller calls an API every minute with an access token of Hallpass.
package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"

	"github.com/hallpass-dev/hallpass/client/token"
)

func main() {
	if err := run(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	interval, err := time.ParseDuration(cmp.Or(os.Getenv("INTERVAL"), "60") + "s")
	if err != nil {
		return fmt.Errorf("read INTERVAL: %w", err)
	}
	var options []token.Option
	if resource := os.Getenv("RESOURCE"); resource != "" {
		options = append(options, token.WithResource(resource))
	}
	source, err := token.New(token.Secret(cmp.Or(os.Getenv("HALLPASS_DIR"), "/etc/oauth2")), options...)
	if err != nil {
		return err
	}
	api := &http.Client{Transport: source.Transport(nil), Timeout: 30 * time.Second}
	for range time.Tick(interval) {
		status, err := call(ctx, api, os.Getenv("API_URL"))
		if err != nil {
			status = "try again later: " + err.Error()
		}
		fmt.Println(status)
	}
	return nil
}

func call(ctx context.Context, api *http.Client, url string) (string, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody) //nolint:gosec // the environment of the pod sets the URL
	if err != nil {
		return "", fmt.Errorf("call the API: %w", err)
	}
	response, err := api.Do(request) //nolint:gosec // the same
	if err != nil {
		return "", fmt.Errorf("call the API: %w", err)
	}
	defer func() { _ = response.Body.Close() }()
	_, err = io.Copy(io.Discard, response.Body)
	return response.Status, err
}
