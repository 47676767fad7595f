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
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
)

const requestTimeout = 10 * time.Second

// walk fetches a token, asks about it, and leaves the env file.
func (s *stage) walk(ctx context.Context) error {
	caller, err := s.credentials(ctx, sampleClient)
	if err != nil {
		return err
	}
	api, err := s.credentials(ctx, sampleAPI)
	if err != nil {
		return err
	}
	client, err := s.httpClient()
	if err != nil {
		return err
	}

	title(6, "Fetch a token, as the service "+sampleClient+" would with what is in its Secret")
	show(`curl --cacert "$HALLPASS_CA" -u "$CLIENT_ID:$CLIENT_SECRET" -d grant_type=client_credentials "$HALLPASS_TOKEN_URL"`)
	var token struct {
		AccessToken string `json:"access_token"`
	}
	body, err := post(ctx, client, caller, string(caller.Data["token_url"]), url.Values{"grant_type": {"client_credentials"}})
	if err == nil {
		err = json.Unmarshal(body, &token)
	}
	if err != nil {
		return fmt.Errorf("fetch a token: %w", err)
	}
	say("%s", body)

	title(7, "Ask about it, as the called service "+sampleAPI+" would with its own credentials")
	show(`curl --cacert "$HALLPASS_CA" -u "$API_ID:$API_SECRET" -d token="$TOKEN" ` + string(api.Data["introspection_url"]))
	body, err = post(ctx, client, api, string(api.Data["introspection_url"]), url.Values{"token": {token.AccessToken}})
	if err != nil {
		return fmt.Errorf("introspect the token: %w", err)
	}
	say("%s", body)
	if !strings.Contains(string(body), `"active":true`) {
		return errors.New("the token just fetched is not active")
	}
	if err := s.writeEnv(caller); err != nil {
		return err
	}
	say("\nHallpass runs. In another terminal, in this directory:")
	show(". %s/env", s.settings.dir)
	show("$KUBECTL get hpc -A")
	say("README.md continues from here.")
	if s.keep {
		say("Ctrl-C ends everything. What you applied is kept in %s for the next run with -keep.", s.settings.dir)
	} else {
		say("Ctrl-C ends everything and deletes this cluster with all that you applied; make run ARGS=-keep keeps it.")
	}
	return nil
}

// writeEnv leaves what a script needs, last of all and in one step, so that a script may wait for
// the file.
func (s *stage) writeEnv(caller *corev1.Secret) error {
	var env strings.Builder
	for _, variable := range [][2]string{
		{"KUBECONFIG", s.cp.Kubeconfig()},
		{"HALLPASS_ISSUER", s.issuer},
		{"HALLPASS_CA", s.certificate.CAFile},
		{"HALLPASS_TOKEN_URL", string(caller.Data["token_url"])},
		{"CLIENT_ID", string(caller.Data["client_id"])},
		{"CLIENT_SECRET", string(caller.Data["client_secret"])},
		{"HALLPASS_METRICS_URL", s.ops + "/metrics"},
		{"HALLPASS_MANAGER_METRICS_URL", s.metrics + "/metrics"},
		{"KUBECTL", s.cp.Kubectl()},
	} {
		quoted := "'" + strings.ReplaceAll(variable[1], "'", `'\''`) + "'"
		fmt.Fprintf(&env, "export %s=%s\n", variable[0], quoted)
	}
	path := filepath.Join(s.dir, "env")
	if err := os.WriteFile(path+".new", []byte(env.String()), 0o600); err != nil {
		return fmt.Errorf("write .run/env: %w", err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		return fmt.Errorf("write .run/env: %w", err)
	}
	return nil
}

func (s *stage) httpClient() (*http.Client, error) {
	ca, err := os.ReadFile(s.certificate.CAFile)
	if err != nil {
		return nil, fmt.Errorf("read the token server's CA: %w", err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(ca) {
		return nil, errors.New("read the token server's CA: it holds no certificate")
	}
	return &http.Client{
		Timeout:   requestTimeout,
		Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}},
	}, nil
}

// post sends a form with the credentials of a client and returns the body of a 200.
func post(ctx context.Context, client *http.Client, credentials *corev1.Secret, target string, form url.Values) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, target, strings.NewReader(form.Encode()))
	if err != nil {
		return nil, fmt.Errorf("prepare request: %w", err)
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	request.SetBasicAuth(string(credentials.Data["client_id"]), string(credentials.Data["client_secret"]))
	response, err := client.Do(request)
	if err != nil {
		return nil, fmt.Errorf("send request: %w", err)
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return nil, fmt.Errorf("read answer: %w", err)
	}
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s: %s", response.Status, body)
	}
	return body, nil
}
