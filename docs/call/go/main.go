// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

// Command go calls an API every minute with an access token of Hallpass, by golang.org/x/oauth2.
package main

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"sync"
	"time"

	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"
)

func main() {
	mounted := os.DirFS(cmp.Or(os.Getenv("HALLPASS_DIR"), "/etc/oauth2"))
	interval, err := time.ParseDuration(cmp.Or(os.Getenv("INTERVAL"), "60") + "s")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	api := &http.Client{Transport: &Transport{Mounted: mounted}, Timeout: 30 * time.Second}
	for range time.Tick(interval) {
		status, err := call(context.Background(), api, os.Getenv("API_URL"))
		if err != nil {
			status = "try again later: " + err.Error()
		}
		fmt.Println(status)
	}
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

// Transport adds an access token to each request. It is safe for concurrent use.
type Transport struct {
	// Mounted is the directory with the client's Secret.
	Mounted fs.FS

	mu      sync.Mutex
	current *oauth2.Token
}

// RoundTrip sends a request. It sends a request without a body once more, with another token, when
// the answer is 401: the token was revoked, or its signing key was withdrawn.
func (t *Transport) RoundTrip(r *http.Request) (*http.Response, error) {
	token, err := t.token(r.Context())
	if err != nil {
		return nil, err
	}
	response, err := send(r, token)
	hasBody := r.Body != nil && r.Body != http.NoBody
	if err != nil || response.StatusCode != http.StatusUnauthorized || hasBody {
		return response, err
	}
	_ = response.Body.Close()
	t.drop(token)
	if token, err = t.token(r.Context()); err != nil {
		return nil, err
	}
	return send(r, token)
}

func send(r *http.Request, token *oauth2.Token) (*http.Response, error) {
	r = r.Clone(r.Context())
	token.SetAuthHeader(r)
	return http.DefaultTransport.RoundTrip(r)
}

// token returns the current token. A token is replaced ten seconds before it expires.
func (t *Transport) token(ctx context.Context) (*oauth2.Token, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.current.Valid() {
		return t.current, nil
	}
	token, err := fetch(ctx, t.Mounted)
	if err != nil {
		return nil, fmt.Errorf("fetch a token: %w", err)
	}
	t.current = token
	return token, nil
}

func (t *Transport) drop(refused *oauth2.Token) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.current == refused {
		t.current = nil
	}
}

// fetch reads the files for each token, because the kubelet replaces them when the secret is
// rotated.
func fetch(ctx context.Context, mounted fs.FS) (*oauth2.Token, error) {
	file := map[string]string{}
	for _, name := range []string{"client_id", "client_secret", "token_url", "internal_token_url", "ca.crt"} {
		content, err := fs.ReadFile(mounted, name)
		if absent := errors.Is(err, fs.ErrNotExist); absent && (name == "internal_token_url" || name == "ca.crt") {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("read the Secret: %w", err)
		}
		file[name] = string(content)
	}
	var roots *x509.CertPool // nil are the CAs of the system
	if file["ca.crt"] != "" {
		if roots = x509.NewCertPool(); !roots.AppendCertsFromPEM([]byte(file["ca.crt"])) {
			return nil, errors.New("ca.crt has no certificate")
		}
	}
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}}
	defer transport.CloseIdleConnections()
	ctx = context.WithValue(ctx, oauth2.HTTPClient, &http.Client{Transport: transport, Timeout: 10 * time.Second})
	config := clientcredentials.Config{
		ClientID: file["client_id"], ClientSecret: file["client_secret"], AuthStyle: oauth2.AuthStyleInHeader,
		TokenURL: cmp.Or(file["internal_token_url"], file["token_url"]),
	}
	return config.Token(ctx)
}
