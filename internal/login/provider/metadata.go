// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package provider

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"

	"github.com/hallpass-dev/hallpass/internal/loginport"
	"github.com/hallpass-dev/hallpass/internal/outbound"
)

const (
	// fresh is how long a discovery document is used without asking, and stale how long the
	// last one is used while the provider does not answer.
	fresh = 10 * time.Minute
	stale = 24 * time.Hour
	// pause is how long a provider that did not answer is not asked again.
	pause = 5 * time.Second
	// maxDocuments bounds the cache.
	maxDocuments = 64
	// maxAnswer bounds one answer of a provider. The token server reads no longer ID token.
	maxAnswer = 64 << 10
)

// metadata are the discovery documents of providers.
type metadata struct {
	now func() time.Time

	mu    sync.Mutex
	known map[[sha256.Size]byte]*document
}

// endpoints are the members of a discovery document that login needs.
type endpoints struct {
	AuthorizationEndpoint string   `json:"authorization_endpoint"`
	TokenEndpoint         string   `json:"token_endpoint"`
	AuthMethods           []string `json:"token_endpoint_auth_methods_supported"`
	// SendsIssuer is the promise of RFC 9207 section 3.
	SendsIssuer bool `json:"authorization_response_iss_parameter_supported"`
}

// document is a discovery document, or why there is none.
type document struct {
	endpoints

	err error
	// fetched is when it was fetched, and asked when the provider was asked last.
	fetched, asked time.Time
	// done is closed when the request for it has ended.
	done chan struct{}
}

// discover returns the discovery document of a provider. Callers that need one at the same time
// share a request.
func (p *Providers) discover(ctx context.Context, of loginport.Provider) (*document, error) {
	d, fetch := p.metadata.find(key(of))
	if fetch {
		// The request has its own time-out. It continues if the browser that caused it
		// leaves, because others may wait for it.
		go p.fetch(context.WithoutCancel(ctx), of, d)
	}
	select {
	case <-d.done:
	case <-ctx.Done():
		return nil, failed(ReasonUnreachable)
	}
	if d.err != nil {
		return nil, d.err
	}
	return d, nil
}

// find returns the document to use or to wait for, and whether the caller has to fetch it.
func (m *metadata) find(key [sha256.Size]byte) (d *document, fetch bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := m.now()
	d = m.known[key]
	if d != nil {
		select {
		case <-d.done:
		default:
			return d, false // on its way
		}
		if now.Sub(d.fetched) < fresh || now.Sub(d.asked) < pause {
			return d, false
		}
	}
	next := &document{done: make(chan struct{}), asked: now, fetched: now}
	if d != nil && d.err == nil && now.Sub(d.fetched) < stale {
		// If the provider does not answer, the last document stays in use.
		next.endpoints, next.fetched = d.endpoints, d.fetched
	}
	m.makeRoom()
	m.known[key] = next
	return next, true
}

// makeRoom evicts the document that was asked for longest ago, if there are as many as may be.
func (m *metadata) makeRoom() {
	if len(m.known) < maxDocuments {
		return
	}
	var oldest [sha256.Size]byte
	var at time.Time
	for k, d := range m.known {
		if at.IsZero() || d.asked.Before(at) {
			oldest, at = k, d.asked
		}
	}
	delete(m.known, oldest)
}

// fetch asks the provider, and closes done.
func (p *Providers) fetch(ctx context.Context, of loginport.Provider, into *document) {
	defer close(into.done)
	found, err := p.read(ctx, of)
	if err == nil {
		into.endpoints, into.fetched = found, into.asked
		return
	}
	failure, _ := errors.AsType[*Error](err)
	if into.TokenEndpoint == "" || failure == nil || failure.Reason != ReasonUnreachable {
		into.err, into.fetched = err, time.Time{}
	}
}

// read fetches a discovery document and checks it.
func (p *Providers) read(ctx context.Context, of loginport.Provider) (endpoints, error) {
	if !p.requests.Enter(of.Name) {
		return endpoints{}, failed(ReasonBusy)
	}
	defer p.requests.Leave(of.Name)
	client, err := p.http(of)
	if err != nil {
		return endpoints{}, err
	}
	provider, err := oidc.NewProvider(oidc.ClientContext(ctx, client), of.Issuer)
	if _, other := errors.AsType[*oidc.IssuerMismatchError](err); other {
		return endpoints{}, failed(ReasonIssuerMismatch)
	}
	if err != nil {
		return endpoints{}, explain(err)
	}
	var found endpoints
	if provider.Claims(&found) != nil || !isHTTPS(found.AuthorizationEndpoint) || !isHTTPS(found.TokenEndpoint) {
		return endpoints{}, failed(ReasonBadMetadata)
	}
	return found, nil
}

// isHTTPS reports whether an endpoint is an https URL with a host, without a user and without a
// fragment (RFC 6749 section 3.1).
func isHTTPS(endpoint string) bool {
	u, err := url.Parse(endpoint)
	return err == nil && u.Scheme == "https" && u.Hostname() != "" && u.User == nil && u.Fragment == "" && u.Opaque == ""
}

// bounded is a transport whose answers are bounded and complete when they are returned.
type bounded struct{ next http.RoundTripper }

// RoundTrip implements http.RoundTripper.
func (b bounded) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("User-Agent", "hallpass-login")
	response, err := b.next.RoundTrip(r)
	if err != nil {
		return nil, err //nolint:wrapcheck // a transport returns the error as it is
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer+1))
	if err != nil || len(body) > maxAnswer {
		return nil, outbound.ErrNotConnected
	}
	response.Body = io.NopCloser(bytes.NewReader(body))
	return response, nil
}
