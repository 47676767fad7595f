// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

// Command zitadel is the example provider of github.com/zitadel/oidc, which keeps everything in
// memory, with ES256 in the place of RS256 and JWTs for its service user.
package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"fmt"
	"log/slog"
	"net/http"
	"os"

	jose "github.com/go-jose/go-jose/v4"
	"github.com/zitadel/oidc/v3/example/server/exampleop"
	"github.com/zitadel/oidc/v3/example/server/storage"
	"github.com/zitadel/oidc/v3/pkg/op"
)

func main() {
	if err := run(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "zitadel:", err)
		os.Exit(1)
	}
}

func run(address string) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	issuer := "http://" + address + "/"
	memory := &memory{Storage: storage.NewStorage(storage.NewUserStore(issuer)), key: key}
	router := exampleop.SetupServer(issuer, memory, slog.New(slog.DiscardHandler), false, op.WithAllowInsecure())
	return http.ListenAndServe(address, router) //nolint:gosec // on loopback, for one caller
}

// memory signs with a key of its own.
type memory struct {
	*storage.Storage

	key *ecdsa.PrivateKey
}

// SigningKey implements op.Storage.
func (m *memory) SigningKey(context.Context) (op.SigningKey, error) { return signingKey{m.key}, nil }

// SignatureAlgorithms implements op.Storage.
func (m *memory) SignatureAlgorithms(context.Context) ([]jose.SignatureAlgorithm, error) {
	return []jose.SignatureAlgorithm{jose.ES256}, nil
}

// ClientCredentials implements op.ClientCredentialsStorage.
func (m *memory) ClientCredentials(ctx context.Context, id, secret string) (op.Client, error) {
	client, err := m.Storage.ClientCredentials(ctx, id, secret)
	return jwtClient{client}, err
}

// jwtClient is a client whose access tokens are JWTs.
type jwtClient struct{ op.Client }

// AccessTokenType implements op.Client.
func (jwtClient) AccessTokenType() op.AccessTokenType { return op.AccessTokenTypeJWT }

type signingKey struct{ key *ecdsa.PrivateKey }

func (signingKey) SignatureAlgorithm() jose.SignatureAlgorithm { return jose.ES256 }
func (k signingKey) Key() any                                  { return k.key }
func (signingKey) ID() string                                  { return "bench" }
