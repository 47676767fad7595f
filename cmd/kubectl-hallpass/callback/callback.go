// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

// Package callback receives the answer to an authorization request on this machine: the loopback
// redirect of native applications (RFC 8252 section 7.3). It takes one answer, checks that it
// belongs to the request (state, RFC 6749 section 10.12) and that it is from the issuer (iss, RFC
// 9207), and sends no request itself.
package callback

import (
	"context"
	"crypto/subtle"
	_ "embed"
	"errors"
	"fmt"
	"html/template"
	"net"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"time"
)

const (
	// closing is how long the last page may take to reach the browser.
	closing = 5 * time.Second
	// headerTimeout and maxHeader bound what another program of this machine can cost.
	headerTimeout = 10 * time.Second
	maxHeader     = 32 << 10
)

// ErrNoRedirect means that a client has no redirect URI on the machine of its user.
var ErrNoRedirect = errors.New("no redirect URI leads to this machine")

// Expected is what the answer has to have.
type Expected struct {
	State, Issuer string
}

// RefusedError is an error of the authorization server or of the person (RFC 6749 section 4.1.2.1).
type RefusedError struct {
	Code, Description string
}

func (r *RefusedError) Error() string {
	if r.Description == "" {
		return r.Code
	}
	return r.Code + ": " + r.Description
}

// ErrForeignIssuer means that the answer does not name the issuer that was asked: the browser was
// led to another authorization server (RFC 9700 section 4.4).
var ErrForeignIssuer = errors.New("the answer is from another issuer than the one that was asked")

// errNoCode means that the answer has neither a code nor an error.
var errNoCode = errors.New("the answer has neither a code nor an error")

// Receiver listens for the answer. It implements http.Handler.
type Receiver struct {
	listener net.Listener
	host     string
	path     string
	redirect string
	expected Expected

	mu       sync.Mutex
	answered bool
	result   chan result
}

type result struct {
	code string
	err  error
}

// Choose returns the redirect URI of a client that leads to this machine: an http URI on loopback,
// one without a port first, and one with an address before localhost, which another program may
// resolve to something else (RFC 8252 section 8.3).
func Choose(redirectURIs []string) (*url.URL, error) {
	hosts := []string{"127.0.0.1", "::1", "localhost"}
	var best *url.URL
	rank := func(u *url.URL) int {
		at := slices.Index(hosts, u.Hostname())
		if u.Port() != "" {
			at += len(hosts)
		}
		return at
	}
	for _, uri := range redirectURIs {
		u, err := url.Parse(uri)
		if err != nil || u.Scheme != "http" || u.User != nil || !slices.Contains(hosts, u.Hostname()) {
			continue
		}
		if best == nil || rank(u) < rank(best) {
			best = u
		}
	}
	if best == nil {
		return nil, ErrNoRedirect
	}
	return best, nil
}

// Listen listens at a redirect URI, at a free port if it has none.
func Listen(ctx context.Context, redirect *url.URL, expected Expected) (*Receiver, error) {
	network, address := "tcp4", "127.0.0.1"
	if redirect.Hostname() == "::1" {
		network, address = "tcp6", "::1"
	}
	port := redirect.Port()
	if port == "" {
		port = "0"
	}
	listener, err := new(net.ListenConfig).Listen(ctx, network, net.JoinHostPort(address, port))
	if err != nil {
		return nil, fmt.Errorf("listen for the answer of the browser at %s: %w", redirect, err)
	}
	_, port, err = net.SplitHostPort(listener.Addr().String())
	if err != nil {
		return nil, errors.Join(err, listener.Close())
	}
	there := *redirect
	there.Host = net.JoinHostPort(redirect.Hostname(), port)
	path := there.Path
	if path == "" {
		path = "/"
	}
	return &Receiver{
		listener: listener, host: there.Host, path: path, redirect: there.String(), expected: expected, result: make(chan result, 1),
	}, nil
}

// RedirectURI is the redirect URI with its port.
func (r *Receiver) RedirectURI() string { return r.redirect }

// Await serves until there is an answer, and returns its code.
func (r *Receiver) Await(ctx context.Context) (string, error) {
	server := &http.Server{Handler: r, ReadHeaderTimeout: headerTimeout, MaxHeaderBytes: maxHeader}
	served := make(chan error, 1)
	go func() { served <- server.Serve(r.listener) }()
	var got result
	select {
	case got = <-r.result:
	case err := <-served:
		return "", fmt.Errorf("wait for the answer of the browser: %w", err)
	case <-ctx.Done():
		got.err = ctx.Err()
	}
	ending, cancel := context.WithTimeout(context.WithoutCancel(ctx), closing)
	defer cancel()
	if server.Shutdown(ending) != nil {
		_ = server.Close() // the browser has not taken the page, which changes nothing
	}
	return got.code, got.err
}

// Close ends the listener of a Receiver that does not serve.
func (r *Receiver) Close() { _ = r.listener.Close() }

// ServeHTTP implements http.Handler.
func (r *Receiver) ServeHTTP(w http.ResponseWriter, request *http.Request) {
	// A page in the browser that resolves its own name to this machine sends that name.
	if request.Host != r.host {
		show(w, http.StatusMisdirectedRequest, "Not found", "This address is for one login, and is reached by "+r.host+" alone.")
		return
	}
	if request.URL.Path != r.path || request.Method != http.MethodGet {
		show(w, http.StatusNotFound, "Not found", "There is nothing here.")
		return
	}
	answer := request.URL.Query()
	for _, values := range answer {
		if len(values) > 1 {
			show(w, http.StatusBadRequest, "Not understood", "A parameter of this address is there twice. Start the login again in the terminal.")
			return
		}
	}
	// Any page can send the browser here, so an answer of another request ends nothing.
	if subtle.ConstantTimeCompare([]byte(answer.Get("state")), []byte(r.expected.State)) != 1 {
		show(w, http.StatusBadRequest, "Another login", "This answer does not belong to the login that the terminal waits for. Finish the one that it has opened, or start again there.")
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.answered {
		show(w, http.StatusGone, "Already answered", "This login was answered before. Return to the terminal.")
		return
	}
	r.answered = true
	code, err := r.read(answer)
	if err != nil {
		show(w, http.StatusBadRequest, "Not logged in", "The terminal has the reason, and what to do.")
	} else {
		show(w, http.StatusOK, "Return to the terminal", "The login is finished there. You can close this window.")
	}
	r.result <- result{code, err}
}

// read returns the code of an answer. The issuer comes first: nothing else of an answer of another
// one is of use.
func (r *Receiver) read(answer url.Values) (string, error) {
	if answer.Get("iss") != r.expected.Issuer {
		return "", ErrForeignIssuer
	}
	if code := answer.Get("error"); code != "" {
		return "", &RefusedError{code, answer.Get("error_description")}
	}
	if answer.Get("code") == "" {
		return "", errNoCode
	}
	return answer.Get("code"), nil
}

//go:embed page.html
var pageSource string

var page = template.Must(template.New("page").Parse(pageSource)) //nolint:gochecknoglobals // a constant

// show answers with a page without script, which no other page can frame and no cache keeps. It has
// nothing of the request.
func show(w http.ResponseWriter, status int, title, text string) {
	header := w.Header()
	header.Set("Content-Type", "text/html; charset=utf-8")
	header.Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'")
	header.Set("Cache-Control", "no-store")
	header.Set("Referrer-Policy", "no-referrer")
	header.Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	_ = page.Execute(w, struct{ Title, Text string }{title, text}) // the browser has gone
}
