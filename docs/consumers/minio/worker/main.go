// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

// Command worker writes an object to MinIO every second and reads it again, with credentials that
// MinIO issues for the tokens of a client of Hallpass.
package main

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/url"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

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
	store, err := connect(ctx)
	if err != nil {
		return err
	}
	second := time.NewTicker(time.Second)
	defer second.Stop()
	for n := 1; ; n++ {
		if err := exchange(ctx, store, strconv.Itoa(n)); err != nil {
			log.Print(err)
		} else {
			fmt.Printf("stored %d\n", n)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-second.C:
		}
	}
}

// connect returns a client of MinIO, which asks for other credentials before the present ones
// expire.
func connect(ctx context.Context) (*minio.Client, error) {
	// MinIO takes the whole claim as the name of a policy, so a token has one scope.
	source, err := token.New(token.Secret(cmp.Or(os.Getenv("HALLPASS_DIR"), "/etc/oauth2")),
		token.WithResource(os.Getenv("RESOURCE")), token.WithScopes(os.Getenv("SCOPE")))
	if err != nil {
		return nil, err
	}
	endpoint, err := url.Parse(os.Getenv("MINIO_URL"))
	if err != nil {
		return nil, fmt.Errorf("read MINIO_URL: %w", err)
	}
	transport, err := trusting(os.Getenv("MINIO_CA_FILE"))
	if err != nil {
		return nil, err
	}
	issued := &credentials.STSWebIdentity{
		Client: &http.Client{Transport: transport}, STSEndpoint: endpoint.String(),
		GetWebIDTokenExpiry: func() (*credentials.WebIdentityToken, error) {
			current, err := source.Token(ctx)
			if err != nil {
				return nil, err
			}
			// Without an expiry of their own, the credentials expire with the token.
			return &credentials.WebIdentityToken{Token: current.Reveal()}, nil
		},
	}
	store, err := minio.New(endpoint.Host, &minio.Options{
		Creds: credentials.New(issued), Secure: endpoint.Scheme == "https", Transport: transport, Region: "us-east-1",
	})
	if err != nil {
		return nil, fmt.Errorf("connect to MinIO: %w", err)
	}
	return store, nil
}

// trusting returns a transport that trusts the CAs of a file.
func trusting(caFile string) (*http.Transport, error) {
	ca, err := os.ReadFile(caFile)
	if err != nil {
		return nil, fmt.Errorf("read MINIO_CA_FILE: %w", err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(ca) {
		return nil, errors.New("MINIO_CA_FILE has no certificate")
	}
	return &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}}, nil
}

// exchange writes an object and reads it again.
func exchange(ctx context.Context, store *minio.Client, content string) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	if _, err := store.PutObject(ctx, "orders", "latest", strings.NewReader(content), int64(len(content)), minio.PutObjectOptions{}); err != nil {
		return fmt.Errorf("write: %w", err)
	}
	object, err := store.GetObject(ctx, "orders", "latest", minio.GetObjectOptions{})
	if err != nil {
		return fmt.Errorf("read: %w", err)
	}
	defer func() { _ = object.Close() }()
	read, err := io.ReadAll(object)
	if err != nil {
		return fmt.Errorf("read: %w", err)
	}
	if string(read) != content {
		return fmt.Errorf("read %q, want %q", read, content)
	}
	return nil
}
