// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

// Command agent calls a tool of an MCP server. From the 401 of the server it finds the metadata of
// the server (RFC 9728) and of Hallpass (RFC 8414), and gets a token: in a pod without any secret
// with the token of the pod's service account, and with a client secret where one is mounted.
package main

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/modelcontextprotocol/go-sdk/auth"
	"github.com/modelcontextprotocol/go-sdk/auth/extauth"
	"github.com/modelcontextprotocol/go-sdk/mcp"
	"github.com/modelcontextprotocol/go-sdk/oauthex"
	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"
)

func main() {
	if err := run(context.Background(), os.Getenv("MCP_URL")); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// run calls the tool whoami of an MCP server.
func run(ctx context.Context, endpoint string) error {
	pod, err := newPod(cmp.Or(os.Getenv("HALLPASS_DIR"), "/var/run/hallpass"))
	if err != nil {
		return err
	}
	transport := &mcp.StreamableClientTransport{Endpoint: endpoint, HTTPClient: pod.http, OAuthHandler: pod, DisableStandaloneSSE: true}
	if secret, err := os.ReadFile(filepath.Join(pod.dir, "client_secret")); err == nil {
		if transport.OAuthHandler, err = bySecret(pod, string(secret)); err != nil {
			return err
		}
	}
	session, err := mcp.NewClient(&mcp.Implementation{Name: "agent", Version: "1.0.0"}, nil).Connect(ctx, transport, nil)
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
			fmt.Println(text.Text)
		}
	}
	return nil
}

// bySecret authorizes requests with a client secret. The handler of the SDK sends no resource, so
// the OAuth2Client has a defaultResource.
func bySecret(mounted *pod, secret string) (auth.OAuthHandler, error) {
	id, err := os.ReadFile(filepath.Join(mounted.dir, "client_id"))
	if err != nil {
		return nil, fmt.Errorf("read what is mounted: %w", err)
	}
	handler, err := extauth.NewClientCredentialsHandler(&extauth.ClientCredentialsHandlerConfig{HTTPClient: mounted.http, Credentials: &oauthex.ClientCredentials{
		ClientID: string(id), Issuer: mounted.issuer, ClientSecretAuth: &oauthex.ClientSecretAuth{ClientSecret: secret},
	}})
	if err != nil {
		return nil, fmt.Errorf("use the client secret: %w", err)
	}
	return handler, nil
}

// pod authorizes requests with the token of the pod's service account. What it reads is mounted
// into one directory: the token, and issuer_url and ca.crt of the client's ConfigMap.
type pod struct {
	dir, issuer string
	http        *http.Client
	tokens      oauth2.TokenSource
}

func newPod(dir string) (*pod, error) {
	issuer, issuerErr := os.ReadFile(filepath.Join(dir, "issuer_url"))
	ca, caErr := os.ReadFile(filepath.Join(dir, "ca.crt"))
	if err := errors.Join(issuerErr, caErr); err != nil {
		return nil, fmt.Errorf("read what is mounted: %w", err)
	}
	roots, err := x509.SystemCertPool()
	if err != nil {
		return nil, fmt.Errorf("read the CAs of this machine: %w", err)
	}
	roots.AppendCertsFromPEM(ca)
	return &pod{dir: dir, issuer: string(issuer), http: &http.Client{
		Timeout: 30 * time.Second, Transport: &http.Transport{TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: roots}},
	}}, nil
}

// TokenSource implements auth.OAuthHandler. There is none before the first 401.
func (p *pod) TokenSource(context.Context) (oauth2.TokenSource, error) { return p.tokens, nil }

// Authorize implements auth.OAuthHandler: it follows the challenge of a server to a token.
func (p *pod) Authorize(ctx context.Context, request *http.Request, response *http.Response) error {
	defer func() { _ = response.Body.Close() }()
	challenges, err := oauthex.ParseWWWAuthenticate(response.Header.Values("WWW-Authenticate"))
	if err != nil {
		return fmt.Errorf("read the challenge: %w", err)
	}
	place := slices.IndexFunc(challenges, func(c oauthex.Challenge) bool { return c.Scheme == "bearer" && c.Params["resource_metadata"] != "" })
	if place < 0 {
		return fmt.Errorf("%s answers %s and names no metadata", request.URL, response.Status)
	}
	challenge := challenges[place].Params
	resource, err := oauthex.GetProtectedResourceMetadata(ctx, challenge["resource_metadata"], request.URL.String(), p.http)
	if err != nil {
		return fmt.Errorf("read the metadata of the server: %w", err)
	}
	// the pod's token is for this issuer alone, wherever a server leads
	if !slices.Contains(resource.AuthorizationServers, p.issuer) {
		return fmt.Errorf("%s wants tokens of %v, and not of %s", request.URL, resource.AuthorizationServers, p.issuer)
	}
	server, err := auth.GetAuthServerMetadata(ctx, p.issuer, p.http)
	if err != nil {
		return fmt.Errorf("read the metadata of %s: %w", p.issuer, err)
	}
	if server == nil {
		return fmt.Errorf("%s has no metadata", p.issuer)
	}
	fetch := fetches{p, server.TokenEndpoint, resource.Resource, strings.Fields(challenge["scope"])}
	token, err := fetch.Token()
	if err != nil {
		return err
	}
	p.tokens = oauth2.ReuseTokenSource(token, fetch)
	return nil
}

// fetches gets access tokens for one server.
type fetches struct {
	pod           *pod
	url, resource string
	scopes        []string
}

// Token implements oauth2.TokenSource. The file is read for each token, because the kubelet
// replaces it. No client_id is sent: one client alone names the service account.
func (f fetches) Token() (*oauth2.Token, error) {
	assertion, err := os.ReadFile(filepath.Join(f.pod.dir, "token"))
	if err != nil {
		return nil, fmt.Errorf("read the token of the pod: %w", err)
	}
	config := clientcredentials.Config{
		TokenURL: f.url, Scopes: f.scopes, AuthStyle: oauth2.AuthStyleInParams, EndpointParams: url.Values{
			"resource":              {f.resource},
			"client_assertion_type": {"urn:ietf:params:oauth:client-assertion-type:jwt-bearer"},
			"client_assertion":      {string(assertion)},
		},
	}
	token, err := config.Token(context.WithValue(context.Background(), oauth2.HTTPClient, f.pod.http))
	if err != nil {
		return nil, fmt.Errorf("get a token for %s: %w", f.resource, err)
	}
	return token, nil
}
