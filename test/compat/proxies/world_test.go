// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

// Package proxies_test starts real proxies with the configurations that the documentation shows,
// and tries to get past them.
package proxies_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/hallpass-dev/hallpass/internal/oauth2"
	"github.com/hallpass-dev/hallpass/test/kit/memory"
)

const (
	docs = "../../../docs/proxies"
	// The names in the documented configurations, which tests replace by addresses on loopback.
	issuerHost   = "hallpass-tokenserver.hallpass-system.svc"
	upstreamHost = "orders-api.shop.svc:8080"
)

// world is a token server with its clients, and the upstream behind the proxies.
type world struct {
	hallpass *memory.Server
	// address is host:port of the token server; caFile is what verifies its certificate.
	address, caFile string
	upstream        *httptest.Server
	// reader has the scope read, writer read and write; twin is another client with the rights
	// of reader.
	reader, writer, twin caller
	suspended            caller
	// exchanged is a client with a token that it exchanged for one of reader, and person one
	// with a token of a person.
	exchanged, person caller
}

// caller is a client with a token. Subject and namespace are empty for a client that acts for
// itself and that is of the usual namespace; user is empty unless the subject is a person.
type caller struct{ id, scopes, token, subject, user, namespace string }

// web is the namespace of the clients that act for others.
const web = "web"

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{hallpass: memory.New(t, "https://"+issuerHost)}
	register := func(name string, scopes ...string) caller {
		id := w.hallpass.Register(name, scopes...)
		return caller{id: id, scopes: strings.Join(scopes, " "), token: w.hallpass.Token(id)}
	}
	w.reader, w.writer, w.twin = register("reader", "read"), register("writer", "read", "write"), register("twin", "read")
	w.suspended = register("suspended", "read", "write")
	w.hallpass.Suspend(w.suspended.id)
	w.hallpass.Register("orders-api")
	w.declare()
	w.exchanged, w.person = w.exchange(t, w.reader), w.login(t)

	listener := memory.Listen(t)
	w.address, w.caFile = listener.Addr().String(), w.hallpass.Serve(listener, issuerHost)

	w.upstream = httptest.NewUnstartedServer(http.HandlerFunc(echo))
	w.upstream.Config.ErrorLog = quiet()
	w.upstream.Start()
	t.Cleanup(w.upstream.Close)
	return w
}

// ordersAPI is the name of the resource that is the audience of the proxies.
func ordersAPI() oauth2.ObjectName {
	return oauth2.ObjectName{Namespace: memory.Namespace, Name: "orders-api"}
}

// declare makes the audience of the proxies a resource, whose owner consents to clients that act
// for others, and trusts an issuer for persons.
func (w *world) declare() {
	consents, name := []oauth2.Consent{{Namespaces: []string{web}, Scopes: []string{"read"}}}, ordersAPI()
	w.hallpass.Declare(oauth2.Resource{
		Identifier: audience(), UID: "uid-of-orders-api", Namespace: name.Namespace, Name: name.Name, Scopes: []string{"read"},
		Exchanged: consents, Users: consents,
	})
	w.hallpass.Trust(oauth2.TrustedIssuer{
		Name: "corp", UID: "uid-of-corp", Issuer: "https://login.corp.example.com", Uses: oauth2.UsePerson,
		Delegations: []oauth2.Delegation{{Namespaces: []string{web}}},
	})
}

// actor registers a client of another namespace that acts for a subject at the API.
func (w *world) actor(name, subject string, grantTypes oauth2.GrantTypes) caller {
	c := caller{id: w.hallpass.Register(name), scopes: "read", subject: subject, namespace: web}
	w.hallpass.Change(c.id, func(client *oauth2.Client) {
		client.Namespace, client.GrantTypes = web, grantTypes
		client.Access = []oauth2.Access{{Resource: ordersAPI(), Scopes: []string{"read"}}}
	})
	return c
}

// login makes the token with which a client acts for a person.
func (w *world) login(t *testing.T) caller {
	t.Helper()
	const person = "user:corp:U019488227"
	app := w.actor("app", person, oauth2.JWTBearer)
	app.user = person
	now := time.Now()
	claims, err := json.Marshal(map[string]any{
		"iss": "https://" + issuerHost, "aud": audience(), "scope": "read", "exp": now.Add(time.Hour).Unix(), "iat": now.Unix(),
		"jti": "ZmVkY2JhOTg3NjU0MzIxMA", "sub": person, "sub_type": "user", "client_id": app.id, "client_uid": memory.UID(app.id),
	})
	if err != nil {
		t.Fatal(err)
	}
	app.token = w.hallpass.Sign("at+jwt", string(claims))
	return app
}

// exchange makes the token that a client gets in exchange for one of a subject.
func (w *world) exchange(t *testing.T, subject caller) caller {
	t.Helper()
	actor := w.actor("gateway", subject.id, oauth2.TokenExchange)
	var header, claims map[string]any
	for i, part := range []*map[string]any{&header, &claims} {
		decoded, err := base64.RawURLEncoding.DecodeString(strings.Split(subject.token, ".")[i])
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(decoded, part); err != nil {
			t.Fatal(err)
		}
	}
	exchanged, err := json.Marshal(map[string]any{
		"iss": claims["iss"], "aud": claims["aud"], "scope": "read", "exp": claims["exp"], "iat": claims["iat"], "jti": "MDEyMzQ1Njc4OWFiY2RlZg",
		"sub": subject.id, "client_id": actor.id, "client_uid": memory.UID(actor.id), "act": map[string]any{"sub": actor.id},
		"ancestors": []any{map[string]any{
			"jti": claims["jti"], "client_id": subject.id, "client_uid": memory.UID(subject.id), "kid": header["kid"], "iat": claims["iat"],
		}},
	})
	if err != nil {
		t.Fatal(err)
	}
	actor.token = w.hallpass.Sign("at+jwt", string(exchanged))
	return actor
}

// seen is what the upstream was sent.
type seen struct {
	URI    string
	Header http.Header
}

// echo answers with what it was sent.
func echo(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("X-Upstream", "reached")
	if err := json.NewEncoder(w).Encode(seen{URI: r.RequestURI, Header: r.Header}); err != nil {
		panic(err) // the test reads half an answer
	}
}

// proxy is a proxy that runs.
type proxy struct {
	address string
	log     *bytes.Buffer
}

// start runs a proxy until the test ends, and waits until it passes /healthz on. A proxy that is
// not installed fails where CI runs and is skipped elsewhere.
func start(t *testing.T, name string, needed []string, prepare func(dir string, port string) []string) proxy {
	t.Helper()
	for _, file := range needed {
		if _, err := os.Stat(file); err != nil {
			if os.Getenv("CI") != "" {
				t.Fatal(err)
			}
			t.Skipf("%s is not installed; make test-tools installs it on Debian", name)
		}
	}
	listener := memory.Listen(t)
	p := proxy{address: listener.Addr().String(), log: &bytes.Buffer{}}
	_, port, _ := net.SplitHostPort(p.address)
	_ = listener.Close()
	command := prepare(t.TempDir(), port)
	ctx, cancel := context.WithCancel(t.Context())
	running := exec.CommandContext(ctx, command[0], command[1:]...)
	running.Stdout, running.Stderr = p.log, p.log
	running.Cancel = func() error { return running.Process.Signal(syscall.SIGTERM) }
	running.WaitDelay = time.Minute
	if err := running.Start(); err != nil {
		t.Fatal(err)
	}
	stopped := make(chan struct{})
	go func() {
		_ = running.Wait()
		close(stopped)
	}()
	t.Cleanup(func() {
		cancel()
		<-stopped
		if t.Failed() {
			t.Logf("the log of %s:\n%s", name, p.log)
		}
	})
	for deadline := time.Now().Add(3 * time.Minute); ; {
		select {
		case <-stopped:
			t.Fatalf("%s ended: %s", name, p.log)
		default:
		}
		if answer, err := p.send(t, "GET /healthz HTTP/1.1\r\nHost: orders.test\r\nConnection: close\r\n\r\n"); err == nil && answer.status == http.StatusOK {
			return p
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s does not answer: %s", name, p.log)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// document reads a documented configuration and puts the addresses of this fixture into it.
func (w *world) document(t *testing.T, file, dir string, more ...string) string {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(docs, file))
	if err != nil {
		t.Fatal(err)
	}
	text := string(content)
	_, hallpassPort, _ := net.SplitHostPort(w.address)
	replace := append([]string{
		issuerHost + ":443", "127.0.0.1:" + hallpassPort, upstreamHost, w.upstream.Listener.Addr().String(), "/etc/hallpass/ca.crt", w.caFile,
	}, more...)
	text = strings.NewReplacer(replace...).Replace(text)
	path := filepath.Join(dir, file)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// audience is that of the tokens that the configurations require.
func audience() string { return "https://" + issuerHost + "/ns/" + memory.Namespace }

// quiet drops what servers log about requests that were cut off.
func quiet() *log.Logger { return log.New(io.Discard, "", 0) }

// answer is the answer of a proxy; seen is nil unless the upstream was reached.
type answer struct {
	status int
	header http.Header
	body   string
	seen   *seen
}

// send sends a request unchanged.
func (p proxy) send(t *testing.T, request string) (answer, error) {
	t.Helper()
	return p.sendAndWait(t, request, 3*time.Minute)
}

// sendAndWait gives up after so long: of a request that is cut off, a proxy may wait for the rest.
func (p proxy) sendAndWait(t *testing.T, request string, patience time.Duration) (answer, error) {
	t.Helper()
	connection, err := (&net.Dialer{Timeout: time.Minute}).DialContext(t.Context(), "tcp", p.address)
	if err != nil {
		return answer{}, err
	}
	defer connection.Close() //nolint:errcheck // nothing is left to do
	if err := connection.SetDeadline(time.Now().Add(patience)); err != nil {
		return answer{}, err
	}
	if _, err := io.WriteString(connection, request); err != nil {
		return answer{}, err
	}
	response, err := http.ReadResponse(bufio.NewReader(connection), nil)
	if err != nil {
		return answer{}, err
	}
	defer response.Body.Close() //nolint:errcheck // nothing is left to do
	body, err := io.ReadAll(io.LimitReader(response.Body, 1<<20))
	if err != nil {
		return answer{}, err
	}
	a := answer{status: response.StatusCode, header: response.Header, body: string(body)}
	if response.Header.Get("X-Upstream") != "" {
		a.seen = &seen{}
		if err := json.Unmarshal(body, a.seen); err != nil {
			return answer{}, err
		}
	}
	return a, nil
}
