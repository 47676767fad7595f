// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package login_test

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"html"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/hallpass-dev/hallpass/internal/jws"
	"github.com/hallpass-dev/hallpass/internal/login"
	"github.com/hallpass-dev/hallpass/internal/login/provider"
	"github.com/hallpass-dev/hallpass/internal/loginport"
	"github.com/hallpass-dev/hallpass/test/kit/issuers"
)

const (
	loginURL  = "https://example.com"
	corpURL   = "https://corp.example.org"
	hallpass  = "https://hallpass.example.com"
	appURL    = "https://app.example.net/callback"
	authorize = loginURL + login.AuthorizePath + "?response_type=code&client_id=shop.app&state=" + appState

	webMethodsAuthorize = "/invoke/pub.oauth/authorize"

	// These stand in nothing that is logged.
	appState     = "marker-app-state"
	corpSecret   = "marker-corp-secret"
	ticketMarker = "marker-ticket-"
	codeMarker   = "marker-code-"
)

// court stands for the token server's port.
type court struct {
	mu sync.Mutex
	// attempts are by their tickets.
	attempts map[loginport.Opaque]loginport.Attempt
	// answer and finish change the answers; nil for the court's own.
	answer func(loginport.Attempt) loginport.BeginAnswer
	resume func(loginport.Attempt) (loginport.BeginAnswer, error)
	finish func(loginport.FinishRequest) (loginport.FinishAnswer, error)
	// err is what all calls fail with.
	err error
	// attempt is what each request is accepted as.
	attempt loginport.Attempt
	keys    *oidc.IDTokenVerifier
	queries []string
	ended   []loginport.Ended
	// people are the subjects who were given codes.
	people []string
}

func (c *court) Begin(_ context.Context, request loginport.BeginRequest) (loginport.BeginAnswer, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.queries = append(c.queries, request.Query)
	if c.err != nil {
		return loginport.BeginAnswer{}, c.err
	}
	a := c.attempt
	a.Ticket = loginport.Opaque(ticketMarker + rand.Text())
	sum := sha256.Sum256([]byte(a.Ticket))
	a.Nonce, a.ExpiresIn = base64.RawURLEncoding.EncodeToString(sum[:]), 600
	c.attempts[a.Ticket] = a
	if c.answer != nil {
		return c.answer(a), nil
	}
	return loginport.BeginAnswer{Attempt: &a}, nil
}

func (c *court) Resume(_ context.Context, request loginport.ResumeRequest) (loginport.BeginAnswer, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		return loginport.BeginAnswer{}, c.err
	}
	a, known := c.attempts[request.Ticket]
	if !known {
		return loginport.BeginAnswer{Refusal: &loginport.Refusal{Code: "invalid_request", Description: "the attempt has expired; start again in the application", Reason: "TicketExpired"}}, nil
	}
	if c.resume != nil {
		return c.resume(a)
	}
	return loginport.BeginAnswer{Attempt: &a}, nil
}

func (c *court) Finish(ctx context.Context, request loginport.FinishRequest) (loginport.FinishAnswer, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		return loginport.FinishAnswer{}, c.err
	}
	if c.finish != nil {
		return c.finish(request)
	}
	a, known := c.attempts[request.Ticket]
	if !known {
		return loginport.FinishAnswer{Refusal: &loginport.Refusal{Code: "invalid_request", Description: "the attempt has expired", Reason: "TicketExpired"}}, nil
	}
	back := url.Values{"state": {appState}, "iss": {hallpass}}
	switch {
	case request.Ended != "":
		c.ended = append(c.ended, request.Ended)
		code := map[loginport.Ended]string{loginport.ProviderUnavailable: "temporarily_unavailable", loginport.ProviderUnusable: "server_error"}[request.Ended]
		back.Set("error", cmp.Or(code, "access_denied"))
	default:
		token, err := c.keys.Verify(ctx, string(request.IDToken))
		if err != nil || token.Nonce != a.Nonce {
			back.Set("error", "access_denied")
			break
		}
		c.people = append(c.people, token.Subject)
		back.Set("code", codeMarker+rand.Text())
	}
	return loginport.FinishAnswer{Redirect: loginport.Opaque(appURL + "?" + back.Encode())}, nil
}

// corp is an identity provider.
type corp struct {
	*issuers.Issuer

	mu      sync.Mutex
	granted map[string]url.Values // authentication requests by their codes
	// secret is the client secret that it accepts, and person who is logged in.
	secret, person string
	tokens         int
	// meta is added to its discovery document.
	meta map[string]any
}

func startCorp(t *testing.T, network *issuers.Network, issuer string) *corp {
	t.Helper()
	c := &corp{Issuer: issuers.Start(t, network, issuer, jws.ES256), granted: map[string]url.Values{}, secret: corpSecret, person: "alice", meta: map[string]any{}}
	c.Answer(issuers.DiscoveryPath, func(w http.ResponseWriter, _ *http.Request) {
		document := map[string]any{
			"issuer": c.URL, "authorization_endpoint": c.URL + "/authorize", "token_endpoint": c.URL + "/token", "jwks_uri": c.URL + issuers.KeysPath,
			"id_token_signing_alg_values_supported": []string{"ES256"},
		}
		maps.Copy(document, c.meta)
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(document)
	})
	c.Answer("/authorize", func(w http.ResponseWriter, r *http.Request) {
		code := codeMarker + rand.Text()
		c.mu.Lock()
		c.granted[code] = r.URL.Query()
		c.mu.Unlock()
		back, _ := url.Parse(r.URL.Query().Get("redirect_uri"))
		back.RawQuery = url.Values{"code": {code}, "state": {r.URL.Query().Get("state")}, "iss": {c.URL}}.Encode()
		w.Header().Set("Location", back.String())
		w.WriteHeader(http.StatusFound)
	})
	c.Answer("/token", c.token)
	return c
}

func (c *corp) token(w http.ResponseWriter, r *http.Request) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.tokens++
	refuse := func(status int, code string) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_, _ = fmt.Fprintf(w, `{"error":%q}`, code)
	}
	id, secret, basic := r.BasicAuth()
	if !basic {
		id, secret = r.PostFormValue("client_id"), r.PostFormValue("client_secret")
	}
	if id != "hallpass" || secret != c.secret {
		refuse(http.StatusUnauthorized, "invalid_client")
		return
	}
	code := r.PostFormValue("code")
	granted := c.granted[code]
	delete(c.granted, code)
	sum := sha256.Sum256([]byte(r.PostFormValue("code_verifier")))
	if granted == nil || granted.Get("code_challenge") != base64.RawURLEncoding.EncodeToString(sum[:]) || granted.Get("redirect_uri") != r.PostFormValue("redirect_uri") {
		refuse(http.StatusBadRequest, "invalid_grant")
		return
	}
	now := time.Now()
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]any{"access_token": "marker-access", "token_type": "Bearer", "id_token": c.Sign(map[string]any{ //nolint:errchkjson // a test
		"iss": c.URL, "sub": c.person, "aud": "hallpass", "nonce": granted.Get("nonce"), "iat": now.Unix(), "exp": now.Add(time.Minute).Unix(),
	})})
}

// secrets are the client secrets by the names of their Secrets.
type secrets struct {
	mu     sync.Mutex
	values map[string]string
	// next replaces the values when a secret is read again.
	next map[string]string
	err  error
}

func (s *secrets) ClientSecret(_ context.Context, name string, again bool) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if again && s.next != nil {
		s.values = s.next
	}
	if s.err != nil {
		return "", s.err
	}
	if s.values[name] == "" {
		return "", provider.ErrNoSecret
	}
	return s.values[name], nil
}

// world is an installation of two replicas, of which each answers every other request.
type world struct {
	t       *testing.T
	network *issuers.Network
	court   *court
	corp    *corp
	secrets *secrets
	log     *synced
	metrics *prometheus.Registry
	server  *httptest.Server
	now     func() time.Time
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

func newWorld(t *testing.T) *world {
	t.Helper()
	network := &issuers.Network{}
	w := &world{t: t, network: network, corp: startCorp(t, network, corpURL), log: &synced{}, metrics: prometheus.NewRegistry(), now: time.Now}
	w.secrets = &secrets{values: map[string]string{"corp": corpSecret}}
	w.court = &court{attempts: map[loginport.Opaque]loginport.Attempt{}, attempt: loginport.Attempt{
		Provider: loginport.Provider{Name: "corp", DisplayName: "Example Corp", Issuer: corpURL, ClientID: "hallpass", SecretName: "corp", Scopes: []string{"openid", "email"}, CABundle: w.corp.CA},
		Consent: loginport.Consent{
			Needed: true, ClientID: "shop.app", ClientName: "Shop reports", Namespace: "shop", RedirectHost: "app.example.net", RedirectOrigin: "https://app.example.net",
			API: "https://hallpass.example.com/resources/orders/api", APIName: "Orders API", Scopes: []loginport.Scope{{Name: "orders.read", Description: "Read your orders"}, {Name: "orders.write"}}, LeftOut: []string{"orders.admin"},
		},
	}}
	client, err := network.Outbound().Client(w.corp.CA, nil)
	must(t, err)
	w.court.keys = oidc.NewVerifier(corpURL, oidc.NewRemoteKeySet(oidc.ClientContext(context.Background(), client), corpURL+issuers.KeysPath), &oidc.Config{ClientID: "hallpass", SupportedSigningAlgs: []string{"ES256"}})
	metrics := login.NewMetrics(w.metrics)
	var replicas [2]http.Handler
	for i := range replicas {
		replicas[i] = login.New(login.Config{
			URL: loginURL, Aliases: []string{webMethodsAuthorize}, Judge: w.court, Providers: provider.New(network.Outbound(), w.secrets, func() time.Time { return w.now() }),
			Source: func(*http.Request) netip.Prefix { return netip.MustParsePrefix("192.0.2.7/32") },
			Log:    slog.New(slog.NewJSONHandler(w.log, nil)), Metrics: metrics, Now: func() time.Time { return w.now() },
		}).Handler()
	}
	var mu sync.Mutex
	turn := 0
	w.server = httptest.NewTLSServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		mu.Lock()
		turn++
		replica := replicas[turn%2]
		mu.Unlock()
		replica.ServeHTTP(rw, r)
	}))
	t.Cleanup(w.server.Close)
	network.Add("example.com", w.server.Listener.Addr().String())
	return w
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// browser has cookies, and follows no redirect by itself.
type browser struct {
	*world

	client *http.Client
	jar    http.CookieJar
}

func (w *world) browser() *browser {
	w.t.Helper()
	jar, err := cookiejar.New(nil)
	must(w.t, err)
	roots := x509.NewCertPool()
	roots.AddCert(w.server.Certificate())
	roots.AppendCertsFromPEM(w.corp.CA)
	client, err := w.network.Outbound().Client(nil, nil)
	must(w.t, err)
	transport, ok := client.Transport.(*http.Transport)
	if !ok {
		w.t.Fatalf("the transport is %T", client.Transport)
	}
	transport.TLSClientConfig = &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}
	client.Jar = jar
	return &browser{w, client, jar}
}

// page is what a browser got.
type page struct {
	status   int
	header   http.Header
	body     string
	location string
}

func (b *browser) do(method, address string, form url.Values, change ...func(*http.Request)) page {
	b.t.Helper()
	var body io.Reader
	if form != nil {
		body = strings.NewReader(form.Encode())
	}
	r, err := http.NewRequestWithContext(b.t.Context(), method, address, body)
	must(b.t, err)
	if form != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Origin", loginURL)
		r.Header.Set("Sec-Fetch-Site", "same-origin")
	}
	for _, c := range change {
		c(r)
	}
	response, err := b.client.Do(r)
	must(b.t, err)
	defer func() { _ = response.Body.Close() }()
	content, err := io.ReadAll(response.Body)
	must(b.t, err)
	return page{response.StatusCode, response.Header, string(content), response.Header.Get("Location")}
}

func (b *browser) get(address string) page { b.t.Helper(); return b.do(http.MethodGet, address, nil) }

// cookies are those of attempts, by name.
func (b *browser) cookies() map[string]string {
	u, err := url.Parse(loginURL)
	must(b.t, err)
	all := map[string]string{}
	for _, c := range b.jar.Cookies(u) {
		all[c.Name] = c.Value
	}
	return all
}

var (
	hidden  = regexp.MustCompile(`<input type="hidden" name="([a-z]+)" value="([^"]*)">`)
	refresh = regexp.MustCompile(`<meta http-equiv="refresh" content="0; url=([^"]*)">`)
	title   = regexp.MustCompile(`<title>([^<]*)</title>`)
)

// form is the consent form of a page, with a decision.
func (p page) form(t *testing.T, decision string) url.Values {
	t.Helper()
	form := url.Values{"decision": {decision}}
	for _, field := range hidden.FindAllStringSubmatch(p.body, -1) {
		form.Set(field[1], html.UnescapeString(field[2]))
	}
	if len(form) != 3 {
		t.Fatalf("there is no consent form: %d %s", p.status, p.body)
	}
	return form
}

// onward is where a page goes by itself.
func (p page) onward(t *testing.T) string {
	t.Helper()
	found := refresh.FindStringSubmatch(p.body)
	if p.status != http.StatusOK || found == nil {
		t.Fatalf("the page does not go on: %d %s", p.status, p.body)
	}
	return html.UnescapeString(found[1])
}

func (p page) title() string {
	if found := title.FindStringSubmatch(p.body); found != nil {
		return html.UnescapeString(found[1])
	}
	return ""
}

// toProvider goes through consent to the provider, and returns where that sends the browser.
func (b *browser) toProvider() string {
	b.t.Helper()
	asked := b.get(authorize)
	left := b.do(http.MethodPost, loginURL+login.ConsentPath, asked.form(b.t, "allow"))
	answered := b.get(left.onward(b.t))
	if answered.status != http.StatusFound {
		b.t.Fatalf("the provider answers %d %s", answered.status, answered.body)
	}
	return answered.location
}

var errAway = errors.New("connection refused")
