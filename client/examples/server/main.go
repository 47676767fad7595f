// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

// Command server is an API whose callers need a token with the scope orders.read. It watches the
// revocation feed as a client of its own, whose Secret is mounted, and answers 503 while it does
// not know for a minute what was revoked.
package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/hallpass-dev/hallpass/client/token"
	"github.com/hallpass-dev/hallpass/client/verify"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx); err != nil {
		log.Fatal(err) //nolint:gocritic // stop only ends the notification
	}
}

func run(ctx context.Context) error {
	dir := cmp.Or(os.Getenv("HALLPASS_DIR"), "/etc/oauth2")
	issuer, err := os.ReadFile(filepath.Join(dir, "issuer_url")) //nolint:gosec // the environment of the pod names the directory
	if err != nil {
		return fmt.Errorf("read the Secret: %w", err)
	}
	verifier, err := verify.New(strings.TrimSpace(string(issuer)), os.Getenv("AUDIENCE"),
		verify.WithCAFile(filepath.Join(dir, "ca.crt")), verify.FailClosed(time.Minute))
	if err != nil {
		return err
	}
	source, err := token.New(token.Secret(dir))
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	watched := make(chan error, 1)
	go func() { watched <- verifier.Watch(ctx, source) }()

	mux := http.NewServeMux()
	mux.Handle("GET /orders", verifier.Require(http.HandlerFunc(orders), "orders.read"))
	server := &http.Server{Addr: cmp.Or(os.Getenv("LISTEN"), ":8080"), Handler: mux, ReadHeaderTimeout: 5 * time.Second}
	served := make(chan error, 1)
	go func() { served <- server.ListenAndServe() }()
	select {
	case err = <-served:
	case <-ctx.Done():
		err = server.Shutdown(context.WithoutCancel(ctx))
	}
	cancel()
	if ended := <-watched; !errors.Is(ended, context.Canceled) {
		err = errors.Join(err, ended)
	}
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}

func orders(w http.ResponseWriter, r *http.Request) {
	claims, _ := verify.FromContext(r.Context()) // Require has put it there
	_, _ = fmt.Fprintln(w, "orders for", claims.ClientID)
}
