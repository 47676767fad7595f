// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

// Package provider is login's side of OpenID Connect: it sends people to their identity provider
// and exchanges the provider's code for an ID token (OpenID Connect Core 1.0 section 3.1). It does
// not verify the ID token, which the token server does with the keys of the registry. Its errors
// quote nothing that a provider has answered.
package provider

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"github.com/hallpass-dev/hallpass/internal/budget"
	"github.com/hallpass-dev/hallpass/internal/loginport"
	"github.com/hallpass-dev/hallpass/internal/outbound"
)

// Reason is why a provider was of no use, in audit lines and metrics.
type Reason string

// The reasons.
const (
	// ReasonUnreachable: the provider does not answer, or not as HTTPS.
	ReasonUnreachable Reason = "ProviderUnreachable"
	// ReasonAddressNotAllowed: its address is private and not in allowedCIDRs.
	ReasonAddressNotAllowed Reason = "AddressNotAllowed"
	// ReasonIssuerMismatch: its discovery document, or its answer, is that of another issuer.
	ReasonIssuerMismatch Reason = "IssuerMismatch"
	// ReasonBadMetadata: its discovery document lacks an endpoint, or has one without https.
	ReasonBadMetadata Reason = "BadMetadata"
	// ReasonSecretNotFound: there is no client secret for it.
	ReasonSecretNotFound Reason = "LoginSecretNotFound"
	// ReasonClientRefused: it does not accept the client_id or the client secret of Hallpass.
	ReasonClientRefused Reason = "ProviderRefusesClient"
	// ReasonCodeRefused: it does not accept the code.
	ReasonCodeRefused Reason = "ProviderRefusesCode"
	// ReasonNoIDToken: its token response has no ID token.
	ReasonNoIDToken Reason = "NoIDToken"
	// ReasonBusy: as many requests as are allowed are on their way to it.
	ReasonBusy Reason = "TooManyRequests"
)

// Error is why a provider was of no use.
type Error struct{ Reason Reason }

// Error implements error.
func (e *Error) Error() string { return "identity provider: " + string(e.Reason) }

func failed(reason Reason) error { return &Error{reason} }

// Secrets are the client secrets of Hallpass at the providers.
type Secrets interface {
	// ClientSecret returns the client secret in a Secret. again means that the last one was
	// refused.
	ClientSecret(ctx context.Context, name string, again bool) (string, error)
}

// ErrNoSecret means that there is no such Secret, or that it has no client secret.
var ErrNoSecret = errors.New("there is no client secret")

// At most so many requests are on their way to providers at once: so many in all, of which so many
// are lent to providers beyond their share.
const (
	maxRequests    = 256
	lentRequests   = 128
	shareOfRequest = 16
)

// MaxHeld is how many bytes the answers of providers take at most: each is there as it came, as
// x/oauth2 reads it, and as its members, which are in two values.
const MaxHeld = maxRequests * 4 * maxAnswer

// Providers are the identity providers that people are sent to. It is safe for concurrent use.
type Providers struct {
	network  outbound.Network
	secrets  Secrets
	metadata metadata
	requests *budget.Places
}

// New makes Providers, which know none yet: each request names its provider.
func New(network outbound.Network, secrets Secrets, now func() time.Time) *Providers {
	return &Providers{
		network: network, secrets: secrets, metadata: metadata{now: now, known: map[[sha256.Size]byte]*document{}},
		requests: budget.NewPlaces(maxRequests, lentRequests, shareOfRequest),
	}
}

// Request is an authentication request (OpenID Connect Core 1.0 section 3.1.2.1).
type Request struct {
	// RedirectURI is the address of login at which the provider answers.
	RedirectURI string
	// State, Nonce and Verifier bind the answer to the request. The verifier is that of RFC
	// 7636.
	State, Nonce, Verifier string
	// Again asks the provider to authenticate the person even if there is a session.
	Again bool
}

// AuthorizationURL returns where the browser is sent to authenticate.
func (p *Providers) AuthorizationURL(ctx context.Context, to loginport.Provider, request Request) (string, error) {
	found, err := p.discover(ctx, to)
	if err != nil {
		return "", err
	}
	options := []oauth2.AuthCodeOption{oidc.Nonce(request.Nonce), oauth2.S256ChallengeOption(request.Verifier)}
	if request.Again {
		options = append(options, oauth2.SetAuthURLParam("prompt", "login"))
	}
	return found.client(to, request.RedirectURI, "").AuthCodeURL(request.State, options...), nil
}

// Answer is what a provider sends to the redirect URI (RFC 6749 section 4.1.2, RFC 9207).
type Answer struct {
	RedirectURI, Verifier string
	// Code is the authorization code, and Issuer the parameter iss.
	Code, Issuer string
}

// IDToken exchanges the code of an answer for the ID token.
func (p *Providers) IDToken(ctx context.Context, of loginport.Provider, answer Answer) (loginport.Opaque, error) {
	found, err := p.discover(ctx, of)
	if err != nil {
		return "", err
	}
	// RFC 9207 section 2.4. A provider that does not promise iss may leave it out.
	if answer.Issuer != of.Issuer && (answer.Issuer != "" || found.SendsIssuer) {
		return "", failed(ReasonIssuerMismatch)
	}
	if !p.requests.Enter(of.Name) {
		return "", failed(ReasonBusy)
	}
	defer p.requests.Leave(of.Name)
	token, err := p.exchange(ctx, found, of, answer, "")
	if failure, ok := errors.AsType[*Error](err); ok && failure.Reason == ReasonClientRefused {
		// The secret may have been replaced: a code is not used up by a client that did not
		// authenticate.
		token, err = p.exchange(ctx, found, of, answer, token)
	}
	return loginport.Opaque(token), err
}

// exchange makes the token request. If the provider refuses the client, it returns the secret that
// was refused. With such a secret it tries only another one.
func (p *Providers) exchange(ctx context.Context, found *document, of loginport.Provider, answer Answer, refused string) (string, error) {
	secret, err := p.secrets.ClientSecret(ctx, of.SecretName, refused != "")
	switch {
	case errors.Is(err, ErrNoSecret):
		return "", failed(ReasonSecretNotFound)
	case err != nil:
		return "", fmt.Errorf("read the client secret of %s: %w", of.Name, err)
	case secret == refused:
		return "", failed(ReasonClientRefused)
	}
	client, err := p.http(of)
	if err != nil {
		return "", err
	}
	ctx = context.WithValue(ctx, oauth2.HTTPClient, client)
	token, err := found.client(of, answer.RedirectURI, secret).Exchange(ctx, answer.Code, oauth2.VerifierOption(answer.Verifier))
	if err != nil {
		err = explain(err)
		if failure, ok := errors.AsType[*Error](err); ok && failure.Reason == ReasonClientRefused {
			return secret, err
		}
		return "", err
	}
	idToken, ok := token.Extra("id_token").(string)
	if !ok || idToken == "" {
		return "", failed(ReasonNoIDToken)
	}
	return idToken, nil
}

// explain names the cause of a failed request without what the other side has sent.
func explain(err error) error {
	if failure, ok := errors.AsType[*Error](err); ok {
		return failure
	}
	if errors.Is(err, outbound.ErrNotAllowed) {
		return failed(ReasonAddressNotAllowed)
	}
	response, ok := errors.AsType[*oauth2.RetrieveError](err)
	switch {
	case !ok:
		return failed(ReasonUnreachable)
	case response.ErrorCode == "invalid_client", response.ErrorCode == "unauthorized_client", response.Response.StatusCode == http.StatusUnauthorized:
		return failed(ReasonClientRefused)
	case response.Response.StatusCode >= http.StatusInternalServerError:
		return failed(ReasonUnreachable)
	}
	return failed(ReasonCodeRefused)
}

// http makes the HTTP client for a provider.
func (p *Providers) http(to loginport.Provider) (*http.Client, error) {
	allowed := make([]netip.Prefix, 0, len(to.AllowedCIDRs))
	for _, text := range to.AllowedCIDRs {
		prefix, err := netip.ParsePrefix(text)
		if err != nil {
			return nil, failed(ReasonAddressNotAllowed)
		}
		allowed = append(allowed, prefix)
	}
	client, err := p.network.Client(to.CABundle, allowed)
	if err != nil {
		return nil, failed(ReasonUnreachable)
	}
	client.Transport = bounded{client.Transport}
	return client, nil
}

// client is Hallpass as a client of the provider.
func (d *endpoints) client(of loginport.Provider, redirectURI, secret string) *oauth2.Config {
	style := oauth2.AuthStyleInHeader // the default of OpenID Connect Discovery 1.0 section 3
	if len(d.AuthMethods) > 0 && !slices.Contains(d.AuthMethods, "client_secret_basic") {
		style = oauth2.AuthStyleInParams
	}
	return &oauth2.Config{
		ClientID: of.ClientID, ClientSecret: secret, RedirectURL: redirectURI, Scopes: of.Scopes,
		Endpoint: oauth2.Endpoint{AuthURL: d.AuthorizationEndpoint, TokenURL: d.TokenEndpoint, AuthStyle: style},
	}
}

// key identifies what a discovery document was fetched with.
func key(of loginport.Provider) [sha256.Size]byte {
	hash := sha256.New()
	for _, field := range []string{of.Issuer, string(of.CABundle), strings.Join(of.AllowedCIDRs, ",")} {
		_, _ = fmt.Fprintf(hash, "%d:%s", len(field), field)
	}
	return [sha256.Size]byte(hash.Sum(nil))
}
