// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

// Package issuerkeys fetches the public keys of trusted issuers (OpenID Connect Discovery 1.0
// section 4, RFC 7517) within bounds: https with a verified name, no redirect, no proxy, each
// address checked after its name was resolved, 64 KiB and five seconds a document. Its errors quote
// nothing that an issuer has answered.
package issuerkeys

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/internal/jws"
	"github.com/hallpass-dev/hallpass/internal/outbound"
)

// Error is why keys were not fetched.
type Error struct {
	// Reason is that of the condition, and What completes the sentence "The keys were not
	// fetched: …".
	Reason, What string
	// Endless means that only a change at the issuer or of the spec ends it.
	Endless bool
}

// Error implements error.
func (e *Error) Error() string { return "fetch keys: " + e.What }

func notFetched(format string, args ...any) *Error {
	return &Error{Reason: v1alpha1.ReasonKeysNotFetched, What: fmt.Sprintf(format, args...)}
}

// Source is where the keys of an issuer are fetched from.
type Source struct {
	// Issuer has a discovery document, unless URL is that of the keys.
	Issuer, URL string
	// Bundle means that the keys are those of JWT-SVIDs in a SPIFFE bundle.
	Bundle bool
	// CABundle are the authorities in PEM; none stands for those of the system.
	CABundle []byte
	// Allowed are the ranges of addresses that may be connected to although they are private.
	Allowed []netip.Prefix
}

// Fetcher fetches keys. Its zero value does so by the network of the process.
type Fetcher struct{ outbound.Network }

// Fetch fetches the keys of an issuer. An error is an *Error.
func (f Fetcher) Fetch(ctx context.Context, source Source) (jws.KeySet, error) {
	client, err := f.client(source)
	if err != nil {
		return jws.KeySet{}, err
	}
	address := source.URL
	if address == "" {
		document, err := get(ctx, client, DiscoveryURL(source.Issuer), "the discovery document")
		if err != nil {
			return jws.KeySet{}, err
		}
		if address, err = ParseDiscovery(document, source.Issuer); err != nil {
			return jws.KeySet{}, err
		}
	}
	document, err := get(ctx, client, address, "the JWK set")
	if err != nil {
		return jws.KeySet{}, err
	}
	return source.Parse(document)
}

// Parse reads a document with the keys of the source. An error is an *Error.
func (s Source) Parse(document []byte) (jws.KeySet, error) {
	if s.Bundle {
		return ParseBundle(document)
	}
	return ParseKeys(document)
}

// client makes the client for one source.
func (f Fetcher) client(source Source) (*http.Client, error) {
	client, err := f.Client(source.CABundle, source.Allowed)
	if err != nil {
		return nil, &Error{Reason: v1alpha1.ReasonKeysNotFetched, What: "spec.caBundle has no certificate in PEM", Endless: true}
	}
	return client, nil
}

// get fetches one document.
func get(ctx context.Context, client *http.Client, address, what string) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, notFetched("the address of %s is no URL", what)
	}
	request.Header.Set("Accept", "application/json")
	request.Header.Set("User-Agent", "hallpass-manager")
	response, err := client.Do(request)
	if err != nil {
		return nil, explain(err, what)
	}
	defer func() { _ = response.Body.Close() }()
	switch {
	case response.StatusCode >= http.StatusMultipleChoices && response.StatusCode < http.StatusBadRequest:
		return nil, notFetched("%s is at another address by a redirect, which is not followed", what)
	case response.StatusCode != http.StatusOK:
		return nil, notFetched("the request for %s was answered with status %d", what, response.StatusCode)
	}
	document, err := io.ReadAll(io.LimitReader(response.Body, jws.MaxKeySetSize+1))
	switch {
	case err != nil:
		return nil, explain(err, what)
	case len(document) > jws.MaxKeySetSize:
		return nil, notFetched("%s is larger than %d KiB", what, jws.MaxKeySetSize>>10)
	}
	return document, nil
}

// explain names the cause of an error without what the other side has sent.
func explain(err error, what string) *Error {
	switch {
	case errors.Is(err, outbound.ErrNotResolved):
		return notFetched("the name of its host could not be resolved")
	case errors.Is(err, outbound.ErrNotConnected):
		return notFetched("its host could not be connected to")
	case errors.Is(err, outbound.ErrNotAllowed):
		return &Error{
			Reason: v1alpha1.ReasonAddressNotAllowed, Endless: true,
			What: "the name of its host resolves to an address that is not public and not in spec.allowedCIDRs",
		}
	}
	var network net.Error
	_, untrusted := errors.AsType[*tls.CertificateVerificationError](err)
	switch {
	case untrusted:
		return notFetched("the certificate of the host of %s is not trusted, is for another name or has expired; spec.caBundle has the authorities", what)
	case errors.As(err, &network) && network.Timeout(), errors.Is(err, context.DeadlineExceeded):
		return notFetched("the request for %s took longer than %s", what, outbound.Timeout)
	}
	return notFetched("the request for %s was not answered as HTTPS", what)
}
