// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package availability_test

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
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hallpass-dev/hallpass/internal/oauth2"
	"github.com/hallpass-dev/hallpass/test/kit/world"
)

// connecting is how a caller reaches the token server.
type connecting struct {
	http2 bool
	// anew opens a connection for each request.
	anew bool
}

var waysToConnect = []connecting{{}, {http2: true}, {anew: true}, {http2: true, anew: true}}

// manner is what a load is like.
type manner struct {
	// perWay is how many callers there are by each way to connect.
	perWay int
	// roots are what callers trust at the moment.
	roots func() *x509.CertPool
	// uses is how often a caller uses a token, and pause what it waits between two requests.
	uses  int
	pause time.Duration
}

// load is callers that continue, each with a request after the other, until they are stopped.
type load struct {
	manner

	address string
	cancel  context.CancelFunc
	running sync.WaitGroup

	sent, failed atomic.Int64
	mu           sync.Mutex
	failures     []string
}

// startLoad starts callers by HTTP/1.1 and HTTP/2, on connections that are kept and on new ones, of
// the token endpoint, introspection, forward-auth and the keys.
func startLoad(t *testing.T, address string, how manner) *load {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	l := &load{manner: how, address: address, cancel: cancel}
	for _, way := range waysToConnect {
		for i := range how.perWay {
			l.running.Go(func() { l.work(ctx, way, callers[i%len(callers)]) })
		}
	}
	t.Cleanup(cancel)
	return l
}

// stop ends the load and returns its result: a single failure fails the test.
func (l *load) stop(t *testing.T) {
	t.Helper()
	l.cancel()
	l.running.Wait()
	if l.failed.Load() > 0 || l.sent.Load() == 0 {
		t.Errorf("%d of %d requests failed, among them:\n%s", l.failed.Load(), l.sent.Load(), strings.Join(l.failures, "\n"))
	}
	t.Logf("%d requests, %d failed", l.sent.Load(), l.failed.Load())
}

func (l *load) note(err error) {
	l.sent.Add(1)
	if err == nil {
		return
	}
	l.failed.Add(1)
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.failures) < 20 {
		l.failures = append(l.failures, time.Now().Format("15:04:05.000 ")+err.Error())
	}
}

// work is one caller. It fetches a token, asks what it is worth by introspection and forward-auth,
// and reads the keys.
func (l *load) work(ctx context.Context, way connecting, who world.Caller) {
	c := &call{address: l.address, way: way, roots: l.roots}
	defer c.close()
	audience := "audience=" + url.QueryEscape(hallpassAudience())
	for ctx.Err() == nil {
		token, err := c.token(who)
		l.note(err)
		if err != nil {
			pause(ctx, l.pause)
			continue
		}
		steps := []func() error{
			func() error { return c.introspect(who, token) },
			func() error { return c.forward(audience, token) },
			func() error { _, err := c.do(http.MethodGet, oauth2.JWKSPath, nil, ""); return err },
		}
		for n := range l.uses * len(steps) {
			if pause(ctx, l.pause); ctx.Err() != nil {
				return
			}
			l.note(steps[n%len(steps)]())
		}
		pause(ctx, l.pause)
	}
}

// hallpassAudience is the audience of the namespace of the callers.
func hallpassAudience() string { return hallpass.Issuer.String() + "/ns/" + namespace }

// call is a caller's connections.
type call struct {
	t       *testing.T
	address string
	way     connecting
	roots   func() *x509.CertPool
	client  *http.Client
	// trusts is what the client was made with. A caller that gets other authorities makes
	// another one.
	trusts *x509.CertPool
}

// newCall is a caller of one address who fails the test with what fails.
func newCall(t *testing.T, address string) *call {
	t.Helper()
	c := &call{t: t, address: address, roots: trusted(t)}
	t.Cleanup(c.close)
	return c
}

func (c *call) get(path string) string {
	c.t.Helper()
	body, err := c.do(http.MethodGet, path, nil, "")
	must(c.t, err)
	return body
}

// do sends a request and wants 200. It never sends one again by itself; net/http does so where it
// knows that the server has not begun with it, as every client library does.
func (c *call) do(method, path string, form url.Values, bearer string) (string, error) {
	answer, err := c.send(method, path, form, bearer)
	if c.way.anew {
		defer c.close()
	}
	if err != nil {
		return "", fmt.Errorf("%s %s by %+v: %w", method, path, c.way, err)
	}
	defer func() { _ = answer.Body.Close() }()
	content, err := io.ReadAll(answer.Body)
	if err != nil || answer.StatusCode != http.StatusOK {
		return "", fmt.Errorf("%s %s by %+v: %s %s %w", method, path, c.way, answer.Status, content, errors.Join(err))
	}
	if (answer.ProtoMajor == 2) != c.way.http2 {
		return "", fmt.Errorf("%s %s by %+v was answered by %s", method, path, c.way, answer.Proto)
	}
	return string(content), nil
}

// answer sends a form and takes whatever the answer is.
func (c *call) answer(method, path string, form url.Values) (int, http.Header, error) {
	answer, err := c.send(method, path, form, "")
	if err != nil {
		return 0, nil, err
	}
	return answer.StatusCode, answer.Header, answer.Body.Close()
}

func (c *call) send(method, path string, form url.Values, bearer string) (*http.Response, error) {
	roots := c.roots()
	if c.trusts != roots {
		c.close()
	}
	if c.client == nil {
		c.trusts = roots
		c.client = c.connect()
	}
	var body io.Reader = http.NoBody
	if form != nil {
		body = strings.NewReader(form.Encode())
	}
	request, err := http.NewRequest(method, "https://localhost"+path, body) //nolint:noctx // the client has a time limit
	if err != nil {
		return nil, err
	}
	if form != nil {
		request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	if bearer != "" {
		request.Header.Set("Authorization", "Bearer "+bearer)
	}
	return c.client.Do(request)
}

func (c *call) connect() *http.Client {
	protocols := &http.Protocols{}
	protocols.SetHTTP1(!c.way.http2)
	protocols.SetHTTP2(c.way.http2)
	dialer := &net.Dialer{Timeout: limit}
	return &http.Client{Timeout: limit, Transport: &http.Transport{
		Protocols:       protocols,
		TLSClientConfig: &tls.Config{RootCAs: c.trusts, MinVersion: tls.VersionTLS12},
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return dialer.DialContext(ctx, "tcp", c.address)
		},
	}}
}

func (c *call) close() {
	if c.client != nil {
		c.client.CloseIdleConnections()
		c.client = nil
	}
}

// token fetches a token.
func (c *call) token(who world.Caller) (string, error) {
	body, err := c.do(http.MethodPost, oauth2.TokenPath, url.Values{
		"grant_type": {"client_credentials"}, "client_id": {who.ID}, "client_secret": {who.Secret},
	}, "")
	if err != nil {
		return "", err
	}
	var answer struct {
		Token string `json:"access_token"`
	}
	if err := json.Unmarshal([]byte(body), &answer); err != nil || answer.Token == "" {
		return "", fmt.Errorf("no token in %s: %w", body, err)
	}
	return answer.Token, nil
}

var errInactive = errors.New("the token is said to be inactive")

// introspect asks whether a token is good, which it has to be.
func (c *call) introspect(who world.Caller, token string) error {
	body, err := c.do(http.MethodPost, oauth2.IntrospectionPath, url.Values{
		"token": {token}, "client_id": {who.ID}, "client_secret": {who.Secret},
	}, "")
	if err == nil && !strings.Contains(body, `"active":true`) {
		err = errInactive
	}
	return err
}

func (c *call) forward(query, token string) error {
	_, err := c.do(http.MethodGet, oauth2.ForwardAuthPath+"?"+query, nil, token)
	return err
}

// trusted is a pool of what a new caller trusts.
func trusted(t *testing.T) func() *x509.CertPool {
	t.Helper()
	content, err := os.ReadFile(hallpass.CAFile)
	must(t, err)
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(content)
	return func() *x509.CertPool { return pool }
}
