// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package token_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"time"

	"github.com/hallpass-dev/hallpass/client/token"
)

// exampleMount is a directory in the place of /etc/oauth2, and a token server for it.
func exampleMount(secret string) (dir string, hallpass *http.Client) {
	dir, err := os.MkdirTemp("", "oauth2-")
	if err != nil {
		panic(err)
	}
	for name, content := range entries(secret) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			panic(err)
		}
	}
	e := newEndpoint()
	e.secrets["secret"] = time.Time{}
	return dir, e.client()
}

// A program calls an API. In a pod the directory is /etc/oauth2, and no HTTP client is given.
func ExampleSource_Transport() {
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") == "" {
			w.WriteHeader(http.StatusUnauthorized)
		}
	}))
	defer api.Close()
	dir, hallpass := exampleMount("secret")
	defer func() { _ = os.RemoveAll(dir) }()

	source, err := token.New(token.Secret(dir), token.WithScopes("read"), token.WithHTTPClient(hallpass))
	if err != nil {
		fmt.Println(err)
		return
	}
	client := &http.Client{Transport: source.Transport(nil), Timeout: 30 * time.Second}
	request, err := http.NewRequestWithContext(context.Background(), http.MethodGet, api.URL, http.NoBody)
	if err != nil {
		fmt.Println(err)
		return
	}
	response, err := client.Do(request)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = response.Body.Close() }()
	fmt.Println(response.Status)
	// Output: 200 OK
}

// A program branches on why there is no token.
func ExampleSource_Token_errors() {
	dir, hallpass := exampleMount("another secret")
	defer func() { _ = os.RemoveAll(dir) }()
	source, err := token.New(token.Secret(dir), token.WithHTTPClient(hallpass))
	if err != nil {
		fmt.Println(err)
		return
	}
	_, err = source.Token(context.Background())
	switch answer, _ := errors.AsType[*token.Error](err); {
	case errors.Is(err, token.ErrUnavailable):
		fmt.Println("try again after", answer.RetryAfter)
	case errors.Is(err, token.ErrInvalidClient):
		fmt.Println("look at the status of the OAuth2Client:", answer.Description)
	}
	// Output: look at the status of the OAuth2Client: client authentication failed
}

// A token prints as REDACTED.
func ExampleToken() {
	dir, hallpass := exampleMount("secret")
	defer func() { _ = os.RemoveAll(dir) }()
	source, err := token.New(token.Secret(dir), token.WithHTTPClient(hallpass))
	if err != nil {
		fmt.Println(err)
		return
	}
	got, err := source.Token(context.Background())
	fmt.Printf("%v %+v %v\n", got, struct{ T token.Token }{got}, err)
	// Output: REDACTED {T:REDACTED} <nil>
}
