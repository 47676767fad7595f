// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
)

// transport is a way to connect.
type transport string

const (
	plainHTTP transport = "HTTP/1.1"
	overTLS13 transport = "TLS 1.3"
	overHTTP2 transport = "HTTP/2, TLS 1.3"
	handshake transport = "TLS 1.3, new connection"
	plainGRPC transport = "gRPC"
)

// answerLimit is how long an answer may take.
const answerLimit = 10 * time.Second

// caller asks one server in one way, with as many connections as there are workers.
type caller interface {
	// ask makes one request and checks the answer: what is measured has to be right.
	ask(ctx context.Context, p path, one call) error
	close()
}

// call is a request without its origin. By gRPC it is the one that Envoy asks about, on a route
// with these context extensions.
type call struct {
	method, path, authorization, body string
	extensions                        map[string]string
}

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

// envoyCaller asks as Envoy does, by ext_authz over gRPC. A connection has one request at a time,
// as one of HTTP/1.1.
type envoyCaller struct{ idle chan *grpc.ClientConn }

func (w *world) byGRPC(address string) (*envoyCaller, error) {
	c := &envoyCaller{idle: make(chan *grpc.ClientConn, w.workers)}
	for range w.workers {
		connection, err := grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials()))
		if err != nil {
			return nil, err
		}
		c.idle <- connection
	}
	return c, nil
}

func (c *envoyCaller) ask(ctx context.Context, _ path, one call) error {
	_, err := c.check(ctx, one)
	return err
}

func (c *envoyCaller) close() {
	for range cap(c.idle) {
		_ = (<-c.idle).Close()
	}
}

// check asks about a request that has to be admitted as a given client.
func (c *envoyCaller) check(ctx context.Context, one call) (*authv3.CheckResponse, error) {
	ctx, cancel := context.WithTimeout(ctx, answerLimit)
	defer cancel()
	connection := <-c.idle
	answer, err := authv3.NewAuthorizationClient(connection).Check(ctx, one.question())
	c.idle <- connection
	if err == nil && !identifies(answer) {
		err = fmt.Errorf("a question about %s is answered %s", one.path, answer)
	}
	return answer, err
}

func (c call) question() *authv3.CheckRequest {
	return &authv3.CheckRequest{Attributes: &authv3.AttributeContext{
		ContextExtensions: c.extensions,
		Request: &authv3.AttributeContext_Request{Http: &authv3.AttributeContext_HttpRequest{
			Method: c.method, Path: c.path, Host: "orders.bench.test", Headers: map[string]string{"authorization": c.authorization},
		}},
	}}
}

// identifies reports whether an answer lets a request pass and names its client.
func identifies(answer *authv3.CheckResponse) bool {
	named := func(option *corev3.HeaderValueOption) bool {
		return option.GetHeader().GetKey() == "x-auth-client-id" && option.GetHeader().GetValue() != ""
	}
	return answer.GetStatus().GetCode() == int32(codes.OK) && slices.ContainsFunc(answer.GetOkResponse().GetHeaders(), named)
}
