// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

// Command app is what runs in the Pods of test/compat/node beside Hallpass: a caller that fetches
// tokens with what is mounted, an API that has each token introspected, and, without an argument,
// the container that holds a Pod's network.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"
)

// mounted is where the Secret or the ConfigMap of an OAuth2Client is.
const mounted = "/var/run/hallpass"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	err := run(ctx, os.Args[1:])
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "app:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	switch {
	case len(args) == 0:
		<-ctx.Done()
		return nil
	case len(args) == 1 && args[0] == "api":
		return serve(ctx, http.HandlerFunc((&api{server: newServer()}).answer))
	case len(args) == 2 && args[0] == "call":
		c := &caller{server: newServer(), target: args[1]}
		mux := http.NewServeMux()
		mux.HandleFunc("GET /once", c.once)
		mux.HandleFunc("POST /start", c.start)
		mux.HandleFunc("GET /count", c.count)
		mux.HandleFunc("POST /stop", c.stop)
		return serve(ctx, mux)
	}
	return fmt.Errorf("%q is neither nothing, `api` nor `call URL`", args)
}

// serve answers until it gets a signal to end.
func serve(ctx context.Context, handler http.Handler) error {
	server := &http.Server{Addr: ":8080", Handler: handler, ReadHeaderTimeout: 10 * time.Second}
	context.AfterFunc(ctx, func() { _ = server.Close() })
	if err := server.ListenAndServe(); ctx.Err() == nil {
		return fmt.Errorf("serve: %w", err)
	}
	return nil
}

func write(w http.ResponseWriter, status int, answer any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(answer) //nolint:errchkjson // the caller's own types; who does not read the answer notices
}
