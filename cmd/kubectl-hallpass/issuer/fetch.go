// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

// Package issuer calls the token server as a client does: it fetches and revokes tokens, and keeps
// fetched ones in a cache that the user alone can read.
package issuer

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/hallpass-dev/hallpass/internal/oauth2"
)

const (
	tlsTimeout     = 10 * time.Second
	requestTimeout = 30 * time.Second
	maxAnswer      = 1 << 20
)

// Dial connects to an address; it is net.Dialer.DialContext, or goes by way of the cluster.
type Dial func(ctx context.Context, network, address string) (net.Conn, error)

// Credentials are those of a client: a secret, or an assertion. A public client has neither, and
// sends its client_id alone (RFC 6749 section 2.1).
type Credentials struct {
	ID                string
	Secret, Assertion oauth2.Secret
	Public            bool
}

// Endpoint calls the token server with the credentials of a client.
type Endpoint struct {
	http        *http.Client
	credentials Credentials
}

// NewEndpoint makes an endpoint. The certificate of the token server is verified for the name in
// the URL, however the connection is made: by the CAs of the system, and by ca in PEM, if any.
func NewEndpoint(credentials Credentials, ca []byte, dial Dial) (*Endpoint, error) {
	roots, err := x509.SystemCertPool()
	if err != nil {
		roots = x509.NewCertPool()
	}
	if len(ca) > 0 && !roots.AppendCertsFromPEM(ca) {
		return nil, errors.New("the CA certificate in the Secret of the client is no PEM")
	}
	return &Endpoint{
		credentials: credentials,
		http: &http.Client{
			Timeout: requestTimeout,
			// credentials follow no redirect
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
			Transport: &http.Transport{
				Proxy: http.ProxyFromEnvironment, DialContext: dial, TLSHandshakeTimeout: tlsTimeout,
				TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12},
			},
		},
	}, nil
}

// Token is an access token, its scope and its end.
type Token struct {
	Value     oauth2.Secret
	Scope     string
	ExpiresAt time.Time
}

// Error is a refusal by the token server.
type Error struct {
	Status            int
	Code, Description string
	RequestID         string
	RetryAfter        string
}

func (e *Error) Error() string {
	text := fmt.Sprintf("the token server answers %d", e.Status)
	if e.Code != "" {
		text += " " + e.Code
	}
	if e.Description != "" {
		text += ": " + e.Description
	}
	if e.RequestID != "" {
		text += " (request id " + e.RequestID + ")"
	}
	if e.RetryAfter != "" {
		text += "; try again after " + e.RetryAfter + " s"
	}
	return text
}

// UnreachableError means that no connection to the token server came about.
type UnreachableError struct {
	Host  string
	Cause error
}

func (e *UnreachableError) Error() string {
	return fmt.Sprintf("the token server %s cannot be reached from here: %v", e.Host, e.Cause)
}

func (e *UnreachableError) Unwrap() error { return e.Cause }

// Fetch fetches a token (RFC 6749 section 4.4, RFC 8707).
func (e *Endpoint) Fetch(ctx context.Context, tokenURL, resource string, scopes []string, now time.Time) (Token, error) {
	form := url.Values{"grant_type": {"client_credentials"}}
	if resource != "" {
		form.Set("resource", resource)
	}
	if len(scopes) > 0 {
		form.Set("scope", strings.Join(scopes, " "))
	}
	body, err := e.post(ctx, tokenURL, form)
	if err != nil {
		return Token{}, err
	}
	var answer struct {
		AccessToken string `json:"access_token"`
		Scope       string `json:"scope"`
		ExpiresIn   int64  `json:"expires_in"`
	}
	if err := json.Unmarshal(body, &answer); err != nil || answer.AccessToken == "" {
		return Token{}, fmt.Errorf("%s answers without an access_token; is it the token endpoint of Hallpass?", tokenURL)
	}
	return Token{oauth2.NewSecret(answer.AccessToken), answer.Scope, now.Add(time.Duration(answer.ExpiresIn) * time.Second)}, nil
}

// Revoke revokes a token of the client (RFC 7009).
func (e *Endpoint) Revoke(ctx context.Context, revocationURL string, token oauth2.Secret) error {
	_, err := e.post(ctx, revocationURL, url.Values{"token": {token.Reveal()}})
	return err
}

// post sends a form with the credentials, and returns the body of an answer 200.
func (e *Endpoint) post(ctx context.Context, to string, form url.Values) ([]byte, error) {
	if assertion := e.credentials.Assertion.Reveal(); assertion != "" {
		form.Set("client_id", e.credentials.ID)
		form.Set("client_assertion_type", oauth2.AssertionType)
		form.Set("client_assertion", assertion)
	}
	if e.credentials.Public {
		form.Set("client_id", e.credentials.ID)
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, to, strings.NewReader(form.Encode()))
	if err != nil || request.URL.Host == "" {
		return nil, fmt.Errorf("%q in the Secret of the client is no URL", to)
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if e.credentials.Assertion.Empty() && !e.credentials.Public {
		request.SetBasicAuth(url.QueryEscape(e.credentials.ID), url.QueryEscape(e.credentials.Secret.Reveal()))
	}
	return e.do(request)
}

// do sends a request, and returns the body of an answer 200.
func (e *Endpoint) do(request *http.Request) ([]byte, error) {
	response, err := e.http.Do(request)
	if err != nil {
		return nil, unreachable(request.URL.Host, err)
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer))
	if err != nil {
		return nil, fmt.Errorf("read the answer of %s: %w", request.URL.Host, err)
	}
	if response.StatusCode != http.StatusOK {
		return nil, refusal(response, body)
	}
	return body, nil
}

func refusal(response *http.Response, body []byte) error {
	var answer struct {
		Code        string `json:"error"`
		Description string `json:"error_description"`
	}
	// a proxy may answer with another body; its status is enough
	_ = json.Unmarshal(body, &answer)
	retry := response.Header.Get("Retry-After")
	if _, err := strconv.Atoi(retry); err != nil {
		retry = ""
	}
	return &Error{response.StatusCode, answer.Code, answer.Description, response.Header.Get("X-Request-ID"), retry}
}

// unreachable separates a connection that did not come about from other errors. The URL in the
// error is left out: it is in the sentence.
func unreachable(host string, err error) error {
	if request, ok := errors.AsType[*url.Error](err); ok {
		err = request.Err
	}
	var authority x509.UnknownAuthorityError
	var name x509.HostnameError
	if errors.As(err, &authority) || errors.As(err, &name) {
		return fmt.Errorf("the certificate of %s is not trusted: %w. It is verified by the CAs of this machine and by ca.crt of the client's Secret", host, err)
	}
	return &UnreachableError{host, err}
}
