// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

// Command go verifies access tokens with go-oidc, which fetches the keys and notices new ones: it
// reads a token a line and prints who may pass.
package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
)

// Claims are what is of use of an access token.
type Claims struct {
	ClientID string `json:"client_id"`
	// ClientUID is another one for a client that was deleted and made again: keep data under
	// this.
	ClientUID string `json:"client_uid"`
	Scope     string `json:"scope"`
}

// Verifier verifies the tokens for one audience.
type Verifier struct {
	tokens *oidc.IDTokenVerifier
	scope  string
}

// NewVerifier reads the metadata of the issuer. The audience is this service's own, and scope the
// one that it requires.
func NewVerifier(ctx context.Context, issuer, audience, scope string) (*Verifier, error) {
	provider, err := oidc.NewProvider(ctx, issuer)
	if err != nil {
		return nil, fmt.Errorf("read the metadata of %s: %w", issuer, err)
	}
	return &Verifier{tokens: provider.VerifierContext(ctx, &oidc.Config{ClientID: audience}), scope: scope}, nil
}

// Verify returns the claims of a token that is good here.
func (v *Verifier) Verify(ctx context.Context, token string) (Claims, error) {
	verified, err := v.tokens.Verify(ctx, token) // signature, iss, aud and exp
	if err != nil {
		return Claims{}, fmt.Errorf("verify the token: %w", err)
	}
	// the library does not look (RFC 9068 section 4)
	if typ := headerType(token); typ != "at+jwt" {
		return Claims{}, fmt.Errorf("the token is of type %q", typ)
	}
	var claims Claims
	if err := verified.Claims(&claims); err != nil {
		return Claims{}, fmt.Errorf("read the claims: %w", err)
	}
	if claims.ClientID == "" || !slices.Contains(strings.Fields(claims.Scope), v.scope) {
		return Claims{}, errors.New("the token lacks the scope")
	}
	return claims, nil
}

// headerType is the typ in the header of a token, which its signature covers.
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

func run(ctx context.Context) error {
	ca, err := os.ReadFile(os.Getenv("CA_FILE"))
	if err != nil {
		return fmt.Errorf("read the CA of Hallpass: %w", err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(ca)
	client := &http.Client{
		Timeout:   5 * time.Second,
		Transport: &http.Transport{TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: roots}},
	}
	ctx = oidc.ClientContext(ctx, client)
	verifier, err := NewVerifier(ctx, os.Getenv("ISSUER"), os.Getenv("AUDIENCE"), "read")
	if err != nil {
		return err
	}
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		claims, err := verifier.Verify(ctx, lines.Text())
		if err != nil {
			fmt.Println("refused")
			continue
		}
		fmt.Println("passed", claims.ClientID, claims.ClientUID)
	}
	return lines.Err()
}

func main() {
	if err := run(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
