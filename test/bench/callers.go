// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

// transport is a way to connect.
type transport string

const (
	plainHTTP transport = "HTTP/1.1"
	overTLS13 transport = "TLS 1.3"
	overHTTP2 transport = "HTTP/2, TLS 1.3"
	handshake transport = "TLS 1.3, new connection"
)

// answerLimit is how long an answer may take.
const answerLimit = 10 * time.Second

// caller asks one server in one way, with as many connections as there are workers.
type caller interface {
	// ask makes one request and looks at the answer: what is measured has to be right.
	ask(ctx context.Context, p path, one call) error
	close()
}

// call is a request without its origin.
type call struct{ method, path, authorization, body string }

// httpCaller asks by HTTP.
type httpCaller struct {
	client *http.Client
	origin string
}

func (w *world) byHTTP(t transport, origin string) *httpCaller {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(t != overHTTP2)
	protocols.SetHTTP2(t == overHTTP2)
	return &httpCaller{origin: origin, client: &http.Client{
		Timeout: answerLimit,
		Transport: &http.Transport{
			TLSClientConfig: &tls.Config{RootCAs: w.roots, MinVersion: tls.VersionTLS13}, Protocols: protocols,
			MaxIdleConnsPerHost: w.workers, DisableKeepAlives: t == handshake, DisableCompression: true,
		},
	}}
}

func (c *httpCaller) ask(ctx context.Context, p path, one call) error {
	got, err := c.send(ctx, one)
	if err == nil && !p.right(got) {
		err = fmt.Errorf("%s answers %d: %s", one.path, got.status, got.body)
	}
	return err
}

func (c *httpCaller) close() { c.client.CloseIdleConnections() }

// reply is an answer by HTTP.
type reply struct {
	status int
	header http.Header
	body   []byte
}

func (c *httpCaller) send(ctx context.Context, one call) (reply, error) {
	request, err := one.to(ctx, c.origin)
	if err != nil {
		return reply{}, err
	}
	response, err := c.client.Do(request)
	if err != nil {
		return reply{}, err
	}
	body, err := io.ReadAll(response.Body)
	_ = response.Body.Close()
	return reply{response.StatusCode, response.Header, body}, err
}

func (c call) to(ctx context.Context, origin string) (*http.Request, error) {
	request, err := http.NewRequestWithContext(ctx, c.method, origin+c.path, strings.NewReader(c.body))
	if err != nil {
		return nil, err
	}
	if c.body != "" {
		request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	if c.authorization != "" {
		request.Header.Set("Authorization", c.authorization)
	}
	return request, nil
}
