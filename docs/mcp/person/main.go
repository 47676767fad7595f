// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

// Command person calls a tool of an MCP server for the person who runs it. From the 401 of the
// server it finds the metadata of the server (RFC 9728) and of Hallpass (RFC 8414), prints an
// address that the person opens in a browser, and takes the answer on a port of this machine
// (RFC 8252). The OAuth2Client has authentication method None and the redirect URI
// http://127.0.0.1/callback, which stands for each port.
package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"time"

	"github.com/modelcontextprotocol/go-sdk/auth"
	"github.com/modelcontextprotocol/go-sdk/mcp"
	"github.com/modelcontextprotocol/go-sdk/oauthex"
)

func main() {
	if err := run(context.Background(), os.Getenv("MCP_URL")); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// run calls the tool whoami of an MCP server.
func run(ctx context.Context, endpoint string) error {
	client, err := trusting(os.Getenv("CA_FILE"))
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("listen for the answer: %w", err)
	}
	defer func() { _ = listener.Close() }()
	handler, err := auth.NewAuthorizationCodeHandler(&auth.AuthorizationCodeHandlerConfig{
		// with its issuer, the SDK sends the code to no other server
		PreregisteredClient:      &oauthex.ClientCredentials{ClientID: os.Getenv("CLIENT_ID"), Issuer: os.Getenv("ISSUER")},
		RedirectURL:              "http://" + listener.Addr().String() + "/callback",
		AuthorizationCodeFetcher: fetcher(listener),
		Client:                   client,
	})
	if err != nil {
		return fmt.Errorf("prepare the login: %w", err)
	}
	transport := &mcp.StreamableClientTransport{Endpoint: endpoint, HTTPClient: client, OAuthHandler: handler, DisableStandaloneSSE: true}
	session, err := mcp.NewClient(&mcp.Implementation{Name: "person", Version: "1.0.0"}, nil).Connect(ctx, transport, nil)
	if err != nil {
		return fmt.Errorf("connect to %s: %w", endpoint, err)
	}
	defer func() { _ = session.Close() }()
	result, err := session.CallTool(ctx, &mcp.CallToolParams{Name: "whoami"})
	if err != nil {
		return fmt.Errorf("call the tool: %w", err)
	}
	for _, content := range result.Content {
		if text, ok := content.(*mcp.TextContent); ok {
			fmt.Println("tool", text.Text)
		}
	}
	return nil
}

// trusting is an HTTP client that trusts the CAs of this machine and those of a file.
func trusting(file string) (*http.Client, error) {
	roots, err := x509.SystemCertPool()
	if err != nil {
		return nil, fmt.Errorf("read the CAs of this machine: %w", err)
	}
	if file != "" {
		ca, err := os.ReadFile(file)
		if err != nil {
			return nil, fmt.Errorf("read the CA of Hallpass: %w", err)
		}
		roots.AppendCertsFromPEM(ca)
	}
	return &http.Client{
		Timeout: 30 * time.Second, Transport: &http.Transport{TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: roots}},
	}, nil
}

// fetcher has the person open an address, and waits for the answer. The SDK compares the state and
// the issuer in it.
func fetcher(listener net.Listener) auth.AuthorizationCodeFetcher {
	return func(ctx context.Context, request *auth.AuthorizationArgs) (*auth.AuthorizationResult, error) {
		answers := make(chan url.Values, 1)
		mux := http.NewServeMux()
		mux.HandleFunc("GET /callback", func(w http.ResponseWriter, r *http.Request) {
			select {
			case answers <- r.URL.Query():
			default: // one answer is enough
			}
			_, _ = fmt.Fprintln(w, "You can close this page.")
		})
		server := &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
		go func() { _ = server.Serve(listener) }()
		defer func() { _ = server.Shutdown(context.WithoutCancel(ctx)) }()
		fmt.Println("open", request.URL)
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("wait for the person: %w", ctx.Err())
		case answer := <-answers:
			if code := answer.Get("error"); code != "" {
				return nil, errors.New("the person is not logged in: " + code + " " + answer.Get("error_description"))
			}
			return &auth.AuthorizationResult{Code: answer.Get("code"), State: answer.Get("state"), Iss: answer.Get("iss")}, nil
		}
	}
}
