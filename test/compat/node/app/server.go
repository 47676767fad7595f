// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// server is the token server, as the mounted files describe it. Files are read for each request:
// the kubelet replaces them.
type server struct {
	mu     sync.Mutex
	ca     string
	client *http.Client
}

func newServer() *server { return &server{} }

// file is a mounted file, or nothing where there is none.
func file(name string) string {
	content, err := os.ReadFile(filepath.Join(mounted, name))
	if err != nil {
		return ""
	}
	return string(content)
}

// trusting is a client that trusts the mounted authority and no other.
func (s *server) trusting() (*http.Client, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	ca := file("ca.crt")
	if s.client != nil && s.ca == ca {
		return s.client, nil
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM([]byte(ca)) {
		return nil, errors.New("the mounted ca.crt holds no certificate")
	}
	s.ca = ca
	s.client = &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}, ForceAttemptHTTP2: true, MaxIdleConnsPerHost: 4,
	}}
	return s.client, nil
}

// post sends a form, with the mounted secret where there is one, and decodes the answer.
func (s *server) post(ctx context.Context, address string, form url.Values, anew bool, answer any) error {
	client, err := s.trusting()
	if err != nil {
		return err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, address, strings.NewReader(form.Encode()))
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if secret := file("client_secret"); secret != "" {
		request.SetBasicAuth(url.QueryEscape(file("client_id")), url.QueryEscape(secret))
	}
	if anew {
		client.CloseIdleConnections()
	}
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answers %s", address, response.Status)
	}
	return json.NewDecoder(response.Body).Decode(answer)
}

// token fetches an access token: with the mounted secret, or with the token of the Pod's service
// account.
func (s *server) token(ctx context.Context, anew bool) (string, error) {
	form := url.Values{"grant_type": {"client_credentials"}}
	if file("client_secret") == "" {
		form.Set("client_id", file("client_id"))
		form.Set("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer")
		form.Set("client_assertion", file("token"))
	}
	var answer struct {
		AccessToken string `json:"access_token"`
	}
	if err := s.post(ctx, file("token_url"), form, anew, &answer); err != nil {
		return "", fmt.Errorf("fetch a token: %w", err)
	}
	return answer.AccessToken, nil
}

// verdict is the result of introspection of a token (RFC 7662).
type verdict struct {
	Active   bool   `json:"active"`
	ClientID string `json:"client_id"`
	Scope    string `json:"scope"`
}

func (s *server) introspect(ctx context.Context, token string) (verdict, error) {
	var v verdict
	address := file("issuer_url") + "/oauth2/introspect"
	if err := s.post(ctx, address, url.Values{"token": {token}}, false, &v); err != nil {
		return verdict{}, fmt.Errorf("introspect: %w", err)
	}
	return v, nil
}
