// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package app_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hallpass-dev/hallpass/cmd/login/app"
	"github.com/hallpass-dev/hallpass/internal/jws"
	"github.com/hallpass-dev/hallpass/internal/loginport"
	"github.com/hallpass-dev/hallpass/test/kit/issuers"
)

const corpURL = "https://corp.example.org"

// cluster stands for the API server and for the token server's port.
type cluster struct {
	mu     sync.Mutex
	secret string
	bundle string
	asked  []string
	tokens []string
	answer loginport.BeginAnswer
	ended  loginport.FinishRequest
}

func (c *cluster) serveAPI(w http.ResponseWriter, r *http.Request) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.asked = append(c.asked, r.Method+" "+r.URL.Path)
	w.Header().Set("Content-Type", "application/json")
	switch {
	case r.URL.Path == "/api/v1/namespaces/hallpass-login/secrets/corp" && c.secret != "":
		_, _ = fmt.Fprintf(w, `{"kind":"Secret","apiVersion":"v1","metadata":{"name":"corp"},"data":{"client_secret":%q}}`, base64.StdEncoding.EncodeToString([]byte(c.secret)))
	case r.URL.Path == "/api/v1/namespaces/hallpass-system/configmaps/hallpass-ca":
		_ = json.NewEncoder(w).Encode(map[string]any{"kind": "ConfigMap", "apiVersion": "v1", "metadata": map[string]any{"name": "hallpass-ca"}, "data": map[string]string{"ca.crt": c.bundle}}) //nolint:errchkjson // a test
	default:
		w.WriteHeader(http.StatusNotFound)
		_, _ = io.WriteString(w, `{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"NotFound","code":404}`)
	}
}

func (c *cluster) servePort(w http.ResponseWriter, r *http.Request) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.tokens = append(c.tokens, r.Header.Get("Authorization"))
	w.Header().Set("Content-Type", loginport.MediaType)
	if r.URL.Path == loginport.FinishPath {
		_ = json.NewDecoder(r.Body).Decode(&c.ended)
		_ = json.NewEncoder(w).Encode(loginport.FinishAnswer{Redirect: "https://app.example.net/cb?code=c&state=s&iss=i"}) //nolint:errchkjson // a test
		return
	}
	_ = json.NewEncoder(w).Encode(c.answer) //nolint:errchkjson // a test
}

// process is login that runs.
type process struct {
	*cluster

	t           *testing.T
	public, ops string
	client      *http.Client
	log         *synced
	stop        func() error
	tokenFile   string
}

type synced struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (s *synced) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.Write(b)
}

func (s *synced) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String()
}

func start(t *testing.T, more ...string) *process {
	t.Helper()
	c := &cluster{secret: "s3cret\n"}
	api := httptest.NewServer(http.HandlerFunc(c.serveAPI))
	port := httptest.NewTLSServer(http.HandlerFunc(c.servePort))
	t.Cleanup(api.Close)
	t.Cleanup(port.Close)
	c.bundle = string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: port.Certificate().Raw}))

	network := &issuers.Network{}
	corp := issuers.Start(t, network, corpURL, jws.ES256)
	corp.Answer(issuers.DiscoveryPath, func(w http.ResponseWriter, _ *http.Request) {
		_ = json.NewEncoder(w).Encode(map[string]any{"issuer": corpURL, "authorization_endpoint": corpURL + "/a", "token_endpoint": corpURL + "/t", "jwks_uri": corpURL + "/k"})
	})
	corp.Answer("/t", func(w http.ResponseWriter, r *http.Request) {
		if _, secret, _ := r.BasicAuth(); secret != "s3cret" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"access_token":"a","token_type":"Bearer","id_token":"the.id.token"}`)
	})
	c.answer.Attempt = &loginport.Attempt{
		Ticket: "ticket", ExpiresIn: 600, Nonce: "n",
		Provider: loginport.Provider{Name: "corp", Issuer: corpURL, ClientID: "hallpass", SecretName: "corp", Scopes: []string{"openid"}, CABundle: corp.CA},
		Consent:  loginport.Consent{ClientID: "shop.app", Namespace: "shop", RedirectHost: "app.example.net"},
	}

	tokenFile := filepath.Join(t.TempDir(), "token")
	must(t, os.WriteFile(tokenFile, []byte("pod-token-1\n"), 0o600))
	args := append([]string{
		"--login-url=https://login.example.com", "--require-https=false", "--listen=127.0.0.1:0", "--ops-listen=127.0.0.1:0", "--shutdown-lag=0s",
		"--token-server-url=" + port.URL, "--token-file=" + tokenFile, "--kubeconfig=" + kubeconfig(t, api.URL),
	}, more...)
	o, err := app.ParseFlags(args, io.Discard)
	must(t, err)
	p := &process{cluster: c, t: t, log: &synced{}, tokenFile: tokenFile}
	listening := make(chan struct{})
	o.Log, o.Outbound, o.Version = p.log, network.Outbound(), "v0.0.0-test"
	o.Listening = func(public, ops string) { p.public, p.ops = "http://"+public, "http://"+ops; close(listening) }
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- app.Run(ctx, o) }()
	p.stop = sync.OnceValue(func() error { cancel(); return <-ended })
	t.Cleanup(func() { _ = p.stop() })
	select {
	case <-listening:
	case err := <-ended:
		t.Fatalf("login has ended: %v", err)
	}
	p.client = &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	return p
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// get sends a request with cookies.
func (p *process) get(address string, cookies ...*http.Cookie) (*http.Response, string) {
	p.t.Helper()
	r, err := http.NewRequestWithContext(p.t.Context(), http.MethodGet, address, nil)
	must(p.t, err)
	for _, c := range cookies {
		r.AddCookie(c)
	}
	response, err := p.client.Do(r)
	must(p.t, err)
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	must(p.t, err)
	return response, string(body)
}

// TestLoginRuns goes through a login with the whole process: the authorities of the token server
// and the client secret come from the API server, and the token of the pod from its file.
func TestLoginRuns(t *testing.T) {
	p := start(t)
	sent, body := p.get(p.public + "/oauth2/authorize?client_id=shop.app") //nolint:bodyclose // get has closed it
	if sent.StatusCode != http.StatusSeeOther {
		t.Fatalf("%d %s\n%s", sent.StatusCode, body, p.log)
	}
	to, err := url.Parse(sent.Header.Get("Location"))
	must(t, err)
	if to.Query().Get("redirect_uri") != "https://login.example.com/callback/corp" {
		t.Errorf("the person is sent to %s", to)
	}
	// as the kubelet does
	must(t, os.WriteFile(p.tokenFile, []byte("pod-token-2"), 0o600))
	back, body := p.get(p.public+"/callback/corp?code=c&state="+to.Query().Get("state"), sent.Cookies()...) //nolint:bodyclose // get has closed it
	if back.StatusCode != http.StatusSeeOther || back.Header.Get("Location") != "https://app.example.net/cb?code=c&state=s&iss=i" {
		t.Fatalf("%d %s %s\n%s", back.StatusCode, back.Header.Get("Location"), body, p.log)
	}
	if p.ended.Ticket != "ticket" || p.ended.IDToken != "the.id.token" || p.ended.Source != "127.0.0.1" {
		t.Errorf("the token server gets the ticket %t, the ID token %t and the source %q", p.ended.Ticket == "ticket", p.ended.IDToken == "the.id.token", p.ended.Source)
	}
	if got := strings.Join(p.tokens, " "); got != "Bearer pod-token-1 Bearer pod-token-2 Bearer pod-token-2" {
		t.Errorf("the token server gets %s", got)
	}
	if got := strings.Join(p.asked, ", "); got != "GET /api/v1/namespaces/hallpass-system/configmaps/hallpass-ca, GET /api/v1/namespaces/hallpass-login/secrets/corp" {
		t.Errorf("the API server gets %s", got)
	}

	for path, want := range map[string]string{"/healthz": "^ok\n$", "/readyz": "^ok\n$", "/readyz?verbose": "^ok\n$", "/metrics": `hallpass_login_requests_total\{code="303",endpoint="callback",reason=""\} 1\n`} {
		if response, body := p.get(p.ops + path); response.StatusCode != http.StatusOK || !regexp.MustCompile(want).MatchString(body) { //nolint:bodyclose // get has closed it
			t.Errorf("%s: %d %s", path, response.StatusCode, body)
		}
	}
	if response, _ := p.get(p.public + "/healthz"); response.StatusCode != http.StatusOK { //nolint:bodyclose // get has closed it
		t.Errorf("/healthz for balancers: %d", response.StatusCode)
	}
	if err := p.stop(); err != nil || !strings.Contains(p.log.String(), `"msg":"stopped"`) {
		t.Errorf("%v: %s", err, p.log)
	}
	for _, secret := range []string{"s3cret", "pod-token", "the.id.token", "code=c", to.Query().Get("state")} {
		if strings.Contains(p.log.String(), secret) {
			t.Errorf("the log has %q: %s", secret, p.log)
		}
	}
}

// TestAnotherAuthorityIsRefused: a token server with a certificate of another authority gets no
// token of the pod.
func TestAnotherAuthorityIsRefused(t *testing.T) {
	begun := time.Now()
	p := start(t, "--token-server-ca=public")
	if answer, body := p.get(p.public + "/oauth2/authorize"); answer.StatusCode != http.StatusServiceUnavailable || !strings.Contains(body, "Sign-in is not available now") { //nolint:bodyclose // get has closed it
		t.Errorf("%d %s", answer.StatusCode, body)
	}
	if len(p.tokens) != 0 || !strings.Contains(p.log.String(), "certificate") {
		t.Errorf("the token server was called, or the log does not say why not, after %s: %s", time.Since(begun), p.log)
	}
}
