// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

// Command spiffe calls an API as an OAuth2Client of Hallpass that names a SPIFFE ID. It asks the
// Workload API (SPIFFE_ENDPOINT_SOCKET) for a JWT-SVID each time that it needs a token, so that
// nothing is stored.
package main

import (
	"context"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"os/signal"
	"syscall"

	"github.com/spiffe/go-spiffe/v2/svid/jwtsvid"
	"github.com/spiffe/go-spiffe/v2/workloadapi"

	"github.com/hallpass-dev/hallpass/client/token"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context) error {
	issuer := os.Getenv("ISSUER")
	agent, err := workloadapi.New(ctx)
	if err != nil {
		return fmt.Errorf("connect to the Workload API: %w", err)
	}
	defer func() { _ = agent.Close() }()
	svid := func(ctx context.Context) (string, error) {
		// an SVID for Hallpass has no other audience
		svid, err := agent.FetchJWTSVID(ctx, jwtsvid.Params{Audience: issuer})
		if err != nil {
			return "", fmt.Errorf("fetch a JWT-SVID: %w", err)
		}
		return svid.Marshal(), nil
	}
	source, err := token.New(token.FederatedFunc(svid, os.Getenv("CLIENT_ID")), token.WithIssuer(issuer), token.WithCAFile(os.Getenv("CA_FILE")))
	if err != nil {
		return err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, os.Getenv("API_URL"), http.NoBody)
	if err != nil {
		return fmt.Errorf("API_URL: %w", err)
	}
	response, err := (&http.Client{Transport: source.Transport(nil)}).Do(request)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(response.Body, 1<<16))
	if err != nil {
		return fmt.Errorf("read the answer: %w", err)
	}
	fmt.Printf("%s\n%s\n", response.Status, body)
	return nil
}
