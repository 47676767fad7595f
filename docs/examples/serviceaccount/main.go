// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

// Command serviceaccount runs in a pod without any secret: it fetches access tokens with the token
// of the pod's service account, and calls a URL with them, or prints one where no URL is given. All
// that it reads is mounted into one directory, $HALLPASS_DIR or /var/run/hallpass;
// config/samples/serviceaccount/pod.yaml shows how.
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
	"net/url"
	"os"
	"time"

	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"
)

func main() {
	mounted := os.DirFS(cmp.Or(os.Getenv("HALLPASS_DIR"), "/var/run/hallpass"))
	if err := run(context.Background(), mounted, os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(ctx context.Context, mounted fs.FS, urls []string, output io.Writer) error {
	fetch, err := accessTokens(ctx, mounted)
	if err != nil {
		return err
	}
	// fetches one whenever the last one is about to end
	tokens := oauth2.ReuseTokenSource(nil, fetch)
	if len(urls) == 0 {
		token, err := tokens.Token()
		if err != nil {
			return fmt.Errorf("fetch a token: %w", err)
		}
		_, _ = fmt.Fprintln(output, token.AccessToken)
		return nil
	}
	api := &http.Client{Transport: &oauth2.Transport{Source: tokens}, Timeout: 30 * time.Second}
	for _, target := range urls {
		if err := call(ctx, api, target, output); err != nil {
			return err
		}
	}
	return nil
}

// accessTokens fetches access tokens. The files are read for each: the kubelet replaces the service
// account's token well before it ends.
func accessTokens(ctx context.Context, mounted fs.FS) (source, error) {
	ca, err := fs.ReadFile(mounted, "ca.crt")
	if err != nil {
		return nil, fmt.Errorf("read whom to trust: %w", err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(ca) {
		return nil, errors.New("ca.crt holds no certificate")
	}
	ctx = context.WithValue(ctx, oauth2.HTTPClient, &http.Client{
		Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}}, Timeout: 30 * time.Second,
	})
	return func() (*oauth2.Token, error) {
		file := map[string]string{}
		for _, name := range []string{"client_id", "token_url", "token"} {
			content, err := fs.ReadFile(mounted, name)
			if err != nil {
				return nil, fmt.Errorf("read what is mounted: %w", err)
			}
			file[name] = string(content)
		}
		config := clientcredentials.Config{
			ClientID: file["client_id"], TokenURL: file["token_url"], AuthStyle: oauth2.AuthStyleInParams,
			EndpointParams: url.Values{
				"client_assertion_type": {"urn:ietf:params:oauth:client-assertion-type:jwt-bearer"},
				"client_assertion":      {file["token"]},
			},
		}
		return config.Token(ctx)
	}, nil
}

// source is a function that is an oauth2.TokenSource.
type source func() (*oauth2.Token, error)

func (s source) Token() (*oauth2.Token, error) { return s() }

// call is what the program is there for.
func call(ctx context.Context, api *http.Client, target string, output io.Writer) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, target, http.NoBody) //nolint:gosec // the user of the example sets the URL
	if err != nil {
		return fmt.Errorf("call the API: %w", err)
	}
	response, err := api.Do(request) //nolint:gosec // the same
	if err != nil {
		return fmt.Errorf("call the API: %w", err)
	}
	defer func() { _ = response.Body.Close() }()
	if _, err := io.Copy(output, response.Body); err != nil {
		return fmt.Errorf("read the answer of the API: %w", err)
	}
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("the API answers %s", response.Status)
	}
	return nil
}
