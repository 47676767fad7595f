// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

// Command fosite is a token endpoint on github.com/ory/fosite with its store in memory and ES256
// JWTs. Secrets are hashed by SHA-256: with its own bcrypt the hash would be all that is measured.
package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"net/http"
	"os"
	"time"

	"github.com/ory/fosite"
	"github.com/ory/fosite/compose"
	"github.com/ory/fosite/handler/oauth2"
	"github.com/ory/fosite/storage"
	"github.com/ory/fosite/token/jwt"
)

func main() {
	if err := run(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "fosite:", err)
		os.Exit(1)
	}
}

func run(address string) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	hashed, _ := sha256Hasher{}.Hash(context.Background(), []byte("verysecret"))
	store := storage.NewMemoryStore()
	store.Clients["sid1"] = &fosite.DefaultClient{
		ID: "sid1", Secret: hashed, GrantTypes: fosite.Arguments{"client_credentials"}, Scopes: fosite.Arguments{"read", "write"},
	}
	config := &fosite.Config{
		AccessTokenLifespan: time.Hour, GlobalSecret: make([]byte, 32), ClientSecretsHasher: sha256Hasher{},
		AccessTokenIssuer: "http://" + address,
	}
	keyGetter := func(context.Context) (any, error) { return key, nil }
	strategy := compose.NewOAuth2JWTStrategy(keyGetter, compose.NewOAuth2HMACStrategy(config), config)
	provider := compose.Compose(config, store, strategy, compose.OAuth2ClientCredentialsGrantFactory)
	http.HandleFunc("POST /oauth/token", func(w http.ResponseWriter, r *http.Request) {
		session := &oauth2.JWTSession{
			JWTClaims: &jwt.JWTClaims{Subject: "sid1", Issuer: config.AccessTokenIssuer}, JWTHeader: &jwt.Headers{},
			ExpiresAt: map[fosite.TokenType]time.Time{},
		}
		request, err := provider.NewAccessRequest(r.Context(), r, session)
		if err != nil {
			provider.WriteAccessError(r.Context(), w, request, err)
			return
		}
		for _, scope := range request.GetRequestedScopes() {
			request.GrantScope(scope)
		}
		response, err := provider.NewAccessResponse(r.Context(), request)
		if err != nil {
			provider.WriteAccessError(r.Context(), w, request, err)
			return
		}
		provider.WriteAccessResponse(r.Context(), w, request, response)
	})
	return http.ListenAndServe(address, nil) //nolint:gosec // on loopback, for one caller
}

// sha256Hasher hashes secrets that are random.
type sha256Hasher struct{}

// Compare implements fosite.Hasher.
func (h sha256Hasher) Compare(ctx context.Context, hash, data []byte) error {
	if sum, _ := h.Hash(ctx, data); subtle.ConstantTimeCompare(sum, hash) != 1 {
		return errors.New("another secret")
	}
	return nil
}

// Hash implements fosite.Hasher.
func (sha256Hasher) Hash(_ context.Context, data []byte) ([]byte, error) {
	sum := sha256.Sum256(data)
	return sum[:], nil
}
