// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package attack_test

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	login "github.com/hallpass-dev/hallpass/cmd/login/app"
	"github.com/hallpass-dev/hallpass/internal/loginport"
	"github.com/hallpass-dev/hallpass/test/kit/installation"
	"github.com/hallpass-dev/hallpass/test/kit/world"
)

const (
	// loginLimit is limits.memory of config/login/deployment.yaml.
	loginLimit = 192 << 20
	// providerTakes is how long the provider takes for an answer, which is as long as login
	// reads one.
	providerTakes  = 3 * time.Second
	providerAnswer = 63 << 10
)

// loginEndpoints are all of login, if only with a refusal.
var loginEndpoints = []string{
	"GET /oauth2/authorize?consent=1", "POST /consent", "GET /callback/corp?code=c&state=AAAAAAAAAAAAAAAA.s", "POST /oauth2/authorize", "GET /nothing",
}

// TestLoginHoldsWhatItsContainerMay attacks login as TestACallerWhoTakesNoAnswerTakesNoMemory
// attacks the token server, by its own binary with the limits of its container. Beside that,
// persons of 200 addresses log in as fast as login lets them, at a provider that is slow and whose
// answers are as long as login reads them. A browser of another address is shown the consent page
// twice a second meanwhile, which may never fail.
func TestLoginHoldsWhatItsContainerMay(t *testing.T) {
	if testing.Short() {
		t.Skip("login, a provider and 200 persons take a quarter of a minute")
	}
	connections, seconds := world.Count(t, "HALLPASS_UNREAD", 100), world.Count(t, "HALLPASS_UNREAD_SECONDS", 2)
	s := startLogin(t)
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	defer running.Wait()
	defer cancel()
	var opened, finished atomic.Int64
	pace := make(chan struct{})
	attacks := attacksOn(loginEndpoints).all()
	for i := range connections {
		running.Go(func() { s.hold(ctx, attacks[i%len(attacks)], i, &opened, pace) })
	}
	const persons = 200
	for i := range persons {
		running.Go(func() { s.logIn(ctx, i, &finished) })
	}
	for opened.Load() < int64(5*connections) {
		pace <- struct{}{}
	}
	before := opened.Load()
	tick := time.NewTicker(time.Second / 2)
	defer tick.Stop()
	var slowest time.Duration
	for range 2 * seconds {
		<-tick.C
		for range streamsPerRequest * 50 {
			select {
			case pace <- struct{}{}:
			default:
			}
		}
		began := time.Now()
		if err := s.visit(t.Context()); err != nil {
			t.Errorf("the browser of another address: %v", err)
		}
		slowest = max(slowest, time.Since(began))
	}
	t.Logf("%d streams opened, %d logins finished, %d requests at the provider at once; the slowest page took %s; peak of resident memory %d MiB, of the container %s",
		opened.Load()-before, finished.Load(), s.provider.most.Load(), slowest.Round(time.Millisecond), s.peak(t)>>20, s.container.peak())
	if opened.Load() == before {
		t.Error("the attack has ended before the browser")
	}
	if peak := s.peak(t); peak >= loginLimit {
		t.Errorf("resident memory reached %d MiB", peak>>20)
	}
}

// TestIdleBrowsersKeepNoneOut opens connections of browsers that have seen a page, each of another
// address: nearly as many as may be open, by make robustness. One more is served.
func TestIdleBrowsersKeepNoneOut(t *testing.T) {
	// a connection that is being closed counts for a moment, and only the first one of a source
	// is accepted where all are open
	const spare = 16
	browsers := min(world.Count(t, "HALLPASS_IDLE", 300), login.DefaultMaxConnections-spare)
	s := startLogin(t)
	for i := range browsers {
		dialer := &tls.Dialer{
			NetDialer: &net.Dialer{LocalAddr: person(i)}, Config: &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2"}}, //nolint:gosec // the test's own server
		}
		conn, err := dialer.DialContext(t.Context(), "tcp", s.address)
		must(t, err)
		t.Cleanup(func() { _ = conn.Close() })
		must(t, readPage(conn))
		go func() { _, _ = io.Copy(io.Discard, conn) }()
	}
	// a source has 20 requests at once for itself, whatever the others use
	for range 15 {
		if err := s.visit(t.Context()); err != nil {
			t.Errorf("beside %d idle browsers: %v", browsers, err)
		}
		s.http.CloseIdleConnections()
	}
	t.Logf("%d browsers; peak of resident memory %d MiB, of the container %s", browsers, s.peak(t)>>20, s.container.peak())
	if peak := s.peak(t); peak >= loginLimit {
		t.Errorf("resident memory reached %d MiB", peak>>20)
	}
}

// readPage requests a page of HTTP/2, and reads the answer.
func readPage(conn net.Conn) error {
	if _, err := conn.Write([]byte(http2.ClientPreface)); err != nil {
		return err
	}
	f := http2.NewFramer(conn, conn)
	if err := f.WriteSettings(); err != nil {
		return err
	}
	if err := block(f, 1, true, []hpack.HeaderField{
		{Name: ":method", Value: "GET"}, {Name: ":scheme", Value: "https"}, {Name: ":authority", Value: "localhost"}, {Name: ":path", Value: "/nothing"},
	}); err != nil {
		return err
	}
	for {
		frame, err := f.ReadFrame()
		if err != nil {
			return err
		}
		if data, isData := frame.(*http2.DataFrame); isData && data.StreamEnded() {
			return nil
		}
	}
}

// person is an address of its own for each number.
func person(i int) *net.TCPAddr {
	return &net.TCPAddr{IP: net.IPv4(127, 1, byte(i/256), byte(i%256))} //nolint:gosec // there are fewer than 65,536
}

// loginAlone is login beside a token server and a provider that the test plays.
type loginAlone struct {
	alone

	provider *slowProvider
}

// slowProvider answers the requests of login slowly. Each answer is long.
type slowProvider struct {
	origin     string
	here, most atomic.Int64
}

func (p *slowProvider) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	if r.URL.Path != "/token" {
		_ = json.NewEncoder(w).Encode(map[string]string{ //nolint:errchkjson // a test
			"issuer": p.origin, "authorization_endpoint": p.origin + "/authorize", "token_endpoint": p.origin + "/token", "jwks_uri": p.origin + "/keys",
		})
		return
	}
	now := p.here.Add(1)
	defer p.here.Add(-1)
	for {
		most := p.most.Load()
		if now <= most || p.most.CompareAndSwap(most, now) {
			break
		}
	}
	pause(r.Context(), providerTakes)
	_, _ = io.WriteString(w, `{"access_token":"`+strings.Repeat("a", providerAnswer-4096)+`","token_type":"Bearer","id_token":"`+strings.Repeat("i", 3<<10)+`"}`)
}

// playTokenServer answers the port for login. The person is asked if the query asks for it.
func playTokenServer(provider loginport.Provider) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", loginport.MediaType)
		if r.URL.Path == loginport.FinishPath {
			_, _ = io.WriteString(w, `{"redirect":"https://app.example.net/callback?code=c"}`)
			return
		}
		var asked struct{ Query, Ticket string }
		_ = json.NewDecoder(r.Body).Decode(&asked)
		ticket := asked.Ticket
		if ticket == "" {
			ticket = "hpl_" + rand.Text() + strings.Repeat("t", loginport.MaxTicketBytes-64)
		}
		_ = json.NewEncoder(w).Encode(loginport.BeginAnswer{Attempt: &loginport.Attempt{
			Ticket: loginport.Opaque(ticket), ExpiresIn: 600, Nonce: "n", Provider: provider,
			Consent: loginport.Consent{Needed: asked.Query == "consent=1", ClientID: "shop.app", Namespace: "shop", RedirectHost: "app.example.net", API: "https://api.example.net"},
		}})
	}
}

// startLogin starts login's own binary. The provider is at an address of this machine that is not
// loopback, because login connects to no such one; without another one, all requests there fail.
func startLogin(t *testing.T) *loginAlone {
	t.Helper()
	program, err := installation.Program(t.Context(), filepath.Join("..", "..", ".."), "login")
	must(t, err)
	s := &loginAlone{alone: alone{address: world.FreeAddress(t), container: newContainer(t, loginLimit)}, provider: &slowProvider{}}
	dir, host := t.TempDir(), address(t)
	roots := writeCertificate(t, dir, net.ParseIP(host))
	s.http = &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}}}

	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", net.JoinHostPort(host, "0"))
	must(t, err)
	provider := httptest.NewUnstartedServer(s.provider)
	must(t, provider.Listener.Close())
	provider.Listener = listener
	serving, err := tls.LoadX509KeyPair(filepath.Join(dir, "tls.crt"), filepath.Join(dir, "tls.key"))
	must(t, err)
	provider.TLS = &tls.Config{Certificates: []tls.Certificate{serving}, MinVersion: tls.VersionTLS12}
	provider.StartTLS()
	t.Cleanup(provider.Close)
	s.provider.origin = "https://" + listener.Addr().String()
	port := httptest.NewTLSServer(playTokenServer(loginport.Provider{
		Name: "corp", Issuer: s.provider.origin, ClientID: "hallpass", SecretName: "corp", Scopes: []string{"openid"},
		CABundle: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: serving.Certificate[0]}), AllowedCIDRs: []string{host + "/32"},
	}))
	t.Cleanup(port.Close)
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		secret := base64.StdEncoding.EncodeToString([]byte("secret"))
		_, _ = fmt.Fprintf(w, `{"kind":"Secret","apiVersion":"v1","metadata":{"name":"corp"},"data":{"client_secret":%q}}`, secret)
	}))
	t.Cleanup(api.Close)
	s.run(t, program, dir, api.URL, port)
	return s
}

// address is one of this machine that is not loopback, if there is one.
func address(t *testing.T) string {
	t.Helper()
	all, err := net.InterfaceAddrs()
	must(t, err)
	for _, a := range all {
		if network, ok := a.(*net.IPNet); ok && network.IP.To4() != nil && !network.IP.IsLoopback() && !network.IP.IsLinkLocalUnicast() {
			return network.IP.String()
		}
	}
	t.Log("this machine has loopback addresses alone: no request gets to the provider")
	return "127.0.0.1"
}

// run starts the program with what it reads in a directory.
func (s *loginAlone) run(t *testing.T, program, dir, api string, port *httptest.Server) {
	t.Helper()
	kubeconfig := `{"apiVersion":"v1","kind":"Config","current-context":"c","contexts":[{"name":"c","context":{"cluster":"c"}}],` +
		`"clusters":[{"name":"c","cluster":{"server":"` + api + `"}}]}`
	for name, content := range map[string]string{
		"kubeconfig": kubeconfig, "token": "pod-token", "port.crt": string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: port.Certificate().Raw})),
	} {
		must(t, os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600))
	}
	log, err := os.Create(filepath.Join(dir, "log"))
	must(t, err)
	file := func(name string) string { return filepath.Join(dir, name) }
	ops := world.FreeAddress(t)
	command := s.container.command(program, "--login-url=https://login.example.com", "--listen="+s.address, "--ops-listen="+ops, "--kubeconfig="+file("kubeconfig"),
		"--tls-cert-file="+file("tls.crt"), "--tls-key-file="+file("tls.key"), "--token-server-url="+port.URL, "--token-server-ca="+file("port.crt"), "--token-file="+file("token"))
	limit, err := installation.MemoryLimit(filepath.Join("..", "..", ".."), "login")
	must(t, err)
	command.Env = append(os.Environ(), limit)
	command.Stdout, command.Stderr = log, log
	must(t, command.Start())
	t.Cleanup(func() {
		_ = command.Process.Kill()
		_ = command.Wait()
		_ = log.Close()
		if lines, err := os.ReadFile(log.Name()); t.Failed() && err == nil {
			t.Logf("the log of login ends with %s", lines[max(len(lines)-4096, 0):])
		}
	})
	s.pid = command.Process.Pid
	must(t, installation.Wait(t.Context(), "login is ready", func() (bool, error) { return installation.Ready(t.Context(), "http://"+ops), nil }))
}

// visit shows a browser the consent page.
func (s *loginAlone) visit(ctx context.Context) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+s.address+"/oauth2/authorize?consent=1", http.NoBody)
	if err != nil {
		return err
	}
	answer, err := s.http.Do(r)
	if err != nil {
		return err
	}
	defer func() { _ = answer.Body.Close() }()
	if body, err := io.ReadAll(answer.Body); err != nil || answer.StatusCode != http.StatusOK || !strings.Contains(string(body), "Allow this application?") {
		return fmt.Errorf("%s %s: %w", answer.Status, body, err)
	}
	return nil
}

// logIn has a person log in again and again, who is not asked.
func (s *loginAlone) logIn(ctx context.Context, i int, finished *atomic.Int64) {
	client := &http.Client{
		Timeout: time.Minute, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{
			DialContext:     (&net.Dialer{LocalAddr: person(i)}).DialContext,
			TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, //nolint:gosec // the test's own server
		},
	}
	defer client.CloseIdleConnections()
	get := func(path string, cookies []*http.Cookie) (*url.URL, []*http.Cookie) {
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+s.address+path, http.NoBody)
		if err != nil {
			return nil, nil
		}
		for _, c := range cookies {
			r.AddCookie(c)
		}
		answer, err := client.Do(r)
		if err != nil {
			return nil, nil
		}
		_, _ = io.Copy(io.Discard, answer.Body)
		_ = answer.Body.Close()
		to, _ := answer.Location()
		return to, answer.Cookies()
	}
	for ctx.Err() == nil {
		to, cookies := get("/oauth2/authorize", nil)
		if to == nil {
			pause(ctx, time.Second)
			continue
		}
		if back, _ := get("/callback/corp?code=c&state="+url.QueryEscape(to.Query().Get("state")), cookies); back != nil {
			finished.Add(1)
		}
	}
}
