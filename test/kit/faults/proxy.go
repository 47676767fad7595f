// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

// Package faults stands between a component and the API server as one TLS reverse proxy, and does
// there what networks and crashes do: refuses, delays, loses the answer to a write that was carried
// out, holds watches back, answers with an older list, and notifies a test of each write, so that
// it can kill the component right before or right after it.
package faults

import (
	"bytes"
	"context"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

// Verdict is what happens to a write.
type Verdict int

// The verdicts.
const (
	// Forward passes the write and its answer on.
	Forward Verdict = iota
	// Refuse answers 503 and passes nothing on.
	Refuse
	// DropAnswer passes the write on and cuts the connection instead of passing its answer
	// back.
	DropAnswer
	// CutBefore cuts the connection and passes nothing on.
	CutBefore
)

// Write is a write that a component asks for; events do not count.
type Write struct {
	// N counts the writes since Reset, from 1.
	N      int
	Method string
	Path   string
}

// Proxy is a reverse proxy in front of the API server.
type Proxy struct {
	server *httptest.Server

	mu      sync.Mutex
	onWrite func(Write) Verdict
	dropped func(Write)
	writes  []Write
	refuse  bool
	delay   time.Duration
	watches chan struct{}         // closed while watches may pass
	lists   map[string]recordings // what LISTs answered
	replay  bool
}

type recordings struct {
	header http.Header
	body   []byte
}

// NewProxy starts a proxy in front of the API server of a configuration, whose credentials it does
// not use: those of the component pass through.
func NewProxy(upstream *rest.Config) (*Proxy, error) {
	target, err := url.Parse(upstream.Host)
	if err != nil {
		return nil, fmt.Errorf("parse the API server's address: %w", err)
	}
	anonymous := rest.AnonymousClientConfig(upstream)
	transport, err := rest.TransportFor(anonymous)
	if err != nil {
		return nil, fmt.Errorf("reach the API server: %w", err)
	}
	open := make(chan struct{})
	close(open)
	p := &Proxy{watches: open, lists: map[string]recordings{}}
	forward := &httputil.ReverseProxy{
		Rewrite:        func(r *httputil.ProxyRequest) { r.SetURL(target) },
		Transport:      transport,
		FlushInterval:  -1,
		ModifyResponse: p.modify,
		ErrorHandler:   func(http.ResponseWriter, *http.Request, error) { panic(http.ErrAbortHandler) },
	}
	p.server = httptest.NewUnstartedServer(p.handler(forward))
	p.server.EnableHTTP2 = true
	p.server.Config.ErrorLog = nil
	p.server.StartTLS()
	return p, nil
}

// Close ends the proxy and every connection through it.
func (p *Proxy) Close() {
	p.Thaw()
	p.server.CloseClientConnections()
	p.server.Close()
}

// Config sends a component's configuration through the proxy.
func (p *Proxy) Config(component *rest.Config) *rest.Config {
	through := rest.CopyConfig(component)
	through.Host = p.server.URL
	through.TLSClientConfig = rest.TLSClientConfig{CAData: p.ca()}
	return through
}

// Kubeconfig writes a kubeconfig that sends a process with the token of a component through the
// proxy.
func (p *Proxy) Kubeconfig(dir string, component *rest.Config) (string, error) {
	config := clientcmdapi.NewConfig()
	config.Clusters["proxy"] = &clientcmdapi.Cluster{Server: p.server.URL, CertificateAuthorityData: p.ca()}
	config.AuthInfos["component"] = &clientcmdapi.AuthInfo{Token: component.BearerToken, TokenFile: component.BearerTokenFile}
	config.Contexts["proxy"] = &clientcmdapi.Context{Cluster: "proxy", AuthInfo: "component"}
	config.CurrentContext = "proxy"
	path := filepath.Join(dir, "proxy.kubeconfig")
	if err := clientcmd.WriteToFile(*config, path); err != nil {
		return "", fmt.Errorf("write kubeconfig: %w", err)
	}
	return path, os.Chmod(path, 0o600)
}

func (p *Proxy) ca() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: p.server.Certificate().Raw})
}

// Reset forgets the writes so far and forwards those after them.
func (p *Proxy) Reset() { p.Judge(nil, nil) }

// Judge forgets the writes so far and decides about those after them. dropped is called for each
// write whose answer is dropped, after it was carried out and before the connection is cut.
func (p *Proxy) Judge(onWrite func(Write) Verdict, dropped func(Write)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.onWrite, p.dropped, p.writes = onWrite, dropped, nil
}

// Writes are the writes since Reset.
func (p *Proxy) Writes() []Write {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]Write(nil), p.writes...)
}

// SetRefuse makes the API server look away, or come back.
func (p *Proxy) SetRefuse(refuse bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.refuse = refuse
}

// Break cuts every connection through it; new ones are served.
func (p *Proxy) Break() { p.server.CloseClientConnections() }

// SetDelay holds every request back for so long.
func (p *Proxy) SetDelay(delay time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.delay = delay
}

// Freeze holds back what watches would deliver until Thaw; nothing is lost.
func (p *Proxy) Freeze() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.watches = make(chan struct{})
}

// Thaw ends Freeze.
func (p *Proxy) Thaw() {
	p.mu.Lock()
	defer p.mu.Unlock()
	select {
	case <-p.watches:
	default:
		close(p.watches)
	}
}

// SetReplay answers each LIST with what the first one like it was answered, as an API server that
// is behind would.
func (p *Proxy) SetReplay(replay bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.replay = replay
}

func (p *Proxy) handler(forward http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		refuse, delay, replayed := p.state(r)
		time.Sleep(delay)
		switch {
		case refuse:
			unavailable(w)
			return
		case replayed != nil:
			maps.Copy(w.Header(), replayed.header)
			_, _ = w.Write(replayed.body)
			return
		case !isWrite(r):
			forward.ServeHTTP(w, r)
			return
		}
		write, verdict, dropped := p.judge(r)
		switch verdict {
		case Forward:
			forward.ServeHTTP(w, r)
		case Refuse:
			unavailable(w)
		case DropAnswer:
			// The write must not end with the component that asked for it.
			forward.ServeHTTP(httptest.NewRecorder(), r.WithContext(context.WithoutCancel(r.Context())))
			dropped(write)
			panic(http.ErrAbortHandler)
		case CutBefore:
			panic(http.ErrAbortHandler)
		}
	})
}

func (p *Proxy) state(r *http.Request) (refuse bool, delay time.Duration, replayed *recordings) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if recorded, there := p.lists[listKey(r)]; p.replay && there && isList(r) {
		replayed = &recorded
	}
	return p.refuse, p.delay, replayed
}

// judge counts a write and asks what to do with it, outside the lock: the answer may be to kill a
// process and to wait for its end.
func (p *Proxy) judge(r *http.Request) (Write, Verdict, func(Write)) {
	p.mu.Lock()
	write := Write{N: len(p.writes) + 1, Method: r.Method, Path: r.URL.Path}
	p.writes = append(p.writes, write)
	decide, dropped := p.onWrite, p.dropped
	p.mu.Unlock()
	if decide == nil {
		return write, Forward, nil
	}
	return write, decide(write), dropped
}

// modify records lists and holds watches.
func (p *Proxy) modify(response *http.Response) error {
	switch {
	case response.Request.URL.Query().Get("watch") != "":
		response.Body = &heldBody{ReadCloser: response.Body, proxy: p}
	case isList(response.Request) && response.StatusCode == http.StatusOK:
		body, err := io.ReadAll(response.Body)
		if err = errors.Join(err, response.Body.Close()); err != nil {
			return fmt.Errorf("read a list: %w", err)
		}
		response.Body = io.NopCloser(bytes.NewReader(body))
		p.mu.Lock()
		defer p.mu.Unlock()
		if _, there := p.lists[listKey(response.Request)]; !there {
			p.lists[listKey(response.Request)] = recordings{response.Header.Clone(), body}
		}
	}
	return nil
}

// heldBody delivers while watches may pass.
type heldBody struct {
	io.ReadCloser
	proxy *Proxy
}

// Read implements io.Reader.
func (b *heldBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.proxy.mu.Lock()
	open := b.proxy.watches
	b.proxy.mu.Unlock()
	<-open
	return n, err
}

// isWrite reports whether a request is a write of state. Events are news for humans, sent on the
// side and in no certain order.
func isWrite(r *http.Request) bool {
	return r.Method != http.MethodGet && r.Method != http.MethodHead && !strings.Contains(r.URL.Path, "/events")
}

// isList is a list that may be as old as the API server likes; others are of what is there now,
// which no API server gets wrong.
func isList(r *http.Request) bool {
	query := r.URL.Query()
	return r.Method == http.MethodGet && query.Get("watch") == "" && query.Get("resourceVersion") == "0"
}

func listKey(r *http.Request) string { return r.URL.Path + "?" + r.URL.Query().Get("fieldSelector") }

func unavailable(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusServiceUnavailable)
	_, _ = io.WriteString(w, `{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"ServiceUnavailable","code":503}`)
}
