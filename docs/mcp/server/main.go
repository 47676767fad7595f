// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

// Command server is an MCP server with one tool, which names its caller. It has two ways to know:
// behind a proxy that asks Hallpass about each request it reads the identity headers, and with
// ISSUER it verifies tokens itself.
package main

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/modelcontextprotocol/go-sdk/auth"
	"github.com/modelcontextprotocol/go-sdk/mcp"
)

func main() {
	if err := run(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	tools := newServer()
	var handler http.Handler = mcp.NewStreamableHTTPHandler(func(*http.Request) *mcp.Server { return tools }, &mcp.StreamableHTTPOptions{Stateless: true})
	if issuer := os.Getenv("ISSUER"); issuer != "" {
		verify, err := verifier(ctx, issuer, os.Getenv("RESOURCE"))
		if err != nil {
			return err
		}
		handler = auth.RequireBearerToken(verify, &auth.RequireBearerTokenOptions{
			ResourceMetadataURL: os.Getenv("RESOURCE_METADATA"), Scopes: []string{"tools.call"},
		})(handler)
	}
	mux := http.NewServeMux()
	mux.Handle("/mcp", handler)
	mux.HandleFunc("/healthz", func(http.ResponseWriter, *http.Request) {})
	server := &http.Server{Addr: cmp.Or(os.Getenv("LISTEN"), "127.0.0.1:9000"), Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	fmt.Println("listening on", server.Addr)
	serve := server.ListenAndServe // behind a proxy that ends TLS
	if certificate := os.Getenv("TLS_CERT_FILE"); certificate != "" {
		serve = func() error { return server.ListenAndServeTLS(certificate, os.Getenv("TLS_KEY_FILE")) }
	}
	if err := serve(); err != nil {
		return fmt.Errorf("serve: %w", err)
	}
	return nil
}

// newServer is an MCP server whose tool whoami names the client that calls, and the person for whom
// it calls.
func newServer() *mcp.Server {
	server := mcp.NewServer(&mcp.Implementation{Name: "whoami", Version: "1.0.0"}, nil)
	mcp.AddTool(server, &mcp.Tool{Name: "whoami", Description: "Names the caller"}, whoami)
	return server
}

func whoami(_ context.Context, call *mcp.CallToolRequest, _ struct{}) (*mcp.CallToolResult, any, error) {
	// the proxy's, which no caller can set
	client, person := call.Extra.Header.Get("X-Auth-Client-Id"), call.Extra.Header.Get("X-Auth-User")
	if token := call.Extra.TokenInfo; token != nil {
		client, _ = token.Extra["client"].(string)
		person, _ = token.Extra["person"].(string)
	}
	text := "you are " + client
	if person != "" {
		text += ", for " + person
	}
	return &mcp.CallToolResult{Content: []mcp.Content{&mcp.TextContent{Text: text}}}, nil, nil
}

// verifier verifies tokens of an issuer that are for this server.
func verifier(ctx context.Context, issuer, resource string) (auth.TokenVerifier, error) {
	if resource == "" {
		return nil, errors.New("set RESOURCE to the identifier of this server: an empty audience would accept the tokens for other APIs")
	}
	ca, err := os.ReadFile(os.Getenv("CA_FILE"))
	if err != nil {
		return nil, fmt.Errorf("read the CA of Hallpass: %w", err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(ca)
	ctx = oidc.ClientContext(ctx, &http.Client{
		Timeout: 5 * time.Second, Transport: &http.Transport{TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: roots}},
	})
	provider, err := oidc.NewProvider(ctx, issuer)
	if err != nil {
		return nil, fmt.Errorf("read the metadata of %s: %w", issuer, err)
	}
	tokens := provider.VerifierContext(ctx, &oidc.Config{ClientID: resource})
	return func(ctx context.Context, raw string, _ *http.Request) (*auth.TokenInfo, error) {
		token, err := tokens.Verify(ctx, raw) // signature, iss, aud and exp
		if err != nil {
			return nil, fmt.Errorf("%w: %w", auth.ErrInvalidToken, err)
		}
		var claims struct {
			ClientID    string `json:"client_id"`
			Scope       string `json:"scope"`
			Subject     string `json:"sub"`
			SubjectType string `json:"sub_type"`
		}
		if err := token.Claims(&claims); err != nil || headerType(raw) != "at+jwt" || claims.ClientID == "" {
			return nil, fmt.Errorf("%w: it is no access token", auth.ErrInvalidToken)
		}
		extra := map[string]any{"client": claims.ClientID}
		if claims.SubjectType == "user" {
			extra["person"] = claims.Subject
		}
		// UserID ties a session to its caller: the person, or the client that acts for
		// itself
		return &auth.TokenInfo{UserID: claims.Subject, Scopes: strings.Fields(claims.Scope), Expiration: token.Expiry, Extra: extra}, nil
	}, nil
}

// headerType is the typ in the header of a token, which its signature covers. The library does not
// check it (RFC 9068 section 4).
func headerType(token string) string {
	encoded, _, _ := strings.Cut(token, ".")
	decoded, err := base64.RawURLEncoding.DecodeString(encoded)
	if err != nil {
		return ""
	}
	var header struct {
		Type string `json:"typ"`
	}
	if json.Unmarshal(decoded, &header) != nil {
		return ""
	}
	return header.Type
}
