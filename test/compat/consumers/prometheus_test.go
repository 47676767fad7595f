// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

// Package consumers_test runs programs that many clusters have, unmodified, with tokens of a real
// token server and the configuration of docs/consumers.
package consumers_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/hallpass-dev/hallpass/internal/oauth2"
	"github.com/hallpass-dev/hallpass/test/kit/memory"
	"github.com/hallpass-dev/hallpass/test/kit/world"
)

const docs = "../../../docs/consumers"

var must, eventually = world.Must, world.Eventually

// installed returns the path of a program of Debian. It fails where CI runs and skips elsewhere.
func installed(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err == nil {
		return path
	}
	if os.Getenv("CI") != "" {
		t.Fatal(name + " is not installed")
	}
	t.Skip(name + " is not installed; make test-tools installs it on Debian")
	return ""
}

// configure writes a documented configuration with the addresses of a test in the place of those of
// the page. Each has to be there.
func configure(t *testing.T, name string, addresses ...string) (file string) {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(docs, name))
	must(t, err)
	text := string(content)
	for pair := range slices.Chunk(addresses, 2) {
		if !strings.Contains(text, pair[0]) {
			t.Fatalf("%s has no %s", name, pair[0])
		}
		text = strings.ReplaceAll(text, pair[0], pair[1])
	}
	file = filepath.Join(t.TempDir(), filepath.Base(name))
	must(t, os.WriteFile(file, []byte(text), 0o600))
	return file
}

// output is what a program printed.
type output struct {
	mu   sync.Mutex
	text bytes.Buffer
}

// Write implements io.Writer.
func (o *output) Write(line []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(line)
}

// String is everything so far.
func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

// run starts a program that ends with the test.
func run(t *testing.T, path string, arguments ...string) {
	t.Helper()
	runWith(t, nil, path, arguments...)
}

// runWith does so with more in the environment, and returns what the program prints.
func runWith(t *testing.T, environment []string, path string, arguments ...string) *output {
	t.Helper()
	command := exec.CommandContext(context.WithoutCancel(t.Context()), path, arguments...)
	command.Env = append(os.Environ(), environment...)
	return begin(t, command)
}

// begin starts a command that ends with the test, and returns what it prints.
func begin(t *testing.T, command *exec.Cmd) *output {
	t.Helper()
	printed := &output{}
	command.Stdout, command.Stderr = printed, printed
	must(t, command.Start())
	t.Cleanup(func() {
		// Dovecot ends the processes that it started
		_ = command.Process.Signal(syscall.SIGTERM)
		kill := time.AfterFunc(time.Minute, func() { _ = command.Process.Kill() })
		_ = command.Wait()
		kill.Stop()
		if t.Failed() {
			t.Logf("%s printed: %s", command.Path, printed)
		}
	})
	return printed
}

// newSecret gives a client another secret. The former ones stay valid.
func newSecret(t *testing.T, hallpass *memory.Server, clientID string) string {
	t.Helper()
	secret, err := oauth2.NewClientSecret(rand.Reader)
	must(t, err)
	hallpass.Change(clientID, func(c *oauth2.Client) {
		c.Credentials.Verifiers = append(slices.Clip(c.Credentials.Verifiers),
			oauth2.Verifier{ID: secret.ID, Digest: oauth2.DigestSecret(memory.UID(clientID), secret.Value), CreatedAt: time.Now()})
	})
	return secret.Value.Reveal()
}

// endFormer ends all secrets of a client but the newest.
func endFormer(hallpass *memory.Server, clientID string) {
	hallpass.Change(clientID, func(c *oauth2.Client) {
		c.Credentials.Verifiers = c.Credentials.Verifiers[len(c.Credentials.Verifiers)-1:]
	})
}

// metricsAPI is an API whose metrics need a token with a scope. It introspects each.
type metricsAPI struct {
	hallpass        *memory.Server
	client, owner   string
	passed, refused atomic.Int64
}

// ServeHTTP implements http.Handler.
func (a *metricsAPI) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var answer struct {
		Active   bool   `json:"active"`
		ClientID string `json:"client_id"`
		Scope    string `json:"scope"`
	}
	token := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
	if err := json.Unmarshal(a.hallpass.Introspect(a.owner, token), &answer); err != nil || !answer.Active || answer.ClientID != a.client || answer.Scope != "metrics.read" {
		a.refused.Add(1)
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	a.passed.Add(1)
	_, _ = fmt.Fprintln(w, "# TYPE orders_total counter\norders_total 1")
}

// Prometheus reads the file of the secret for each token request, so no scrape fails while the
// secret is replaced, and fails when the client is suspended.
func TestPrometheusScrapesOverRotations(t *testing.T) {
	program := installed(t, "prometheus")
	listener := memory.Listen(t)
	_, port, _ := strings.Cut(listener.Addr().String(), ":")
	issuer := "https://localhost:" + port
	hallpass := memory.New(t, issuer)
	caFile := hallpass.Serve(listener)
	client, owner := hallpass.Register("prometheus"), hallpass.Register("orders-api")
	orders := oauth2.ObjectName{Namespace: memory.Namespace, Name: "orders-api"}
	hallpass.Declare(oauth2.Resource{
		Identifier: issuer + "/resources/orders/orders-api", UID: "uid-of-orders", Namespace: orders.Namespace, Name: orders.Name, Scopes: []string{"metrics.read"},
		Consents: []oauth2.Consent{{Namespaces: []string{memory.Namespace}, Scopes: []string{"metrics.read"}}},
	})
	hallpass.Change(client, func(c *oauth2.Client) {
		c.Access = []oauth2.Access{{Resource: orders, Scopes: []string{"metrics.read"}}}
	})
	// Prometheus replaces a token ten seconds before it expires
	hallpass.SetTokenLifetime(client, 12*time.Second)
	api := &metricsAPI{hallpass: hallpass, client: client, owner: owner}
	target := httptest.NewServer(api)
	t.Cleanup(target.Close)
	secretFile := filepath.Join(t.TempDir(), "client_secret")
	must(t, os.WriteFile(secretFile, []byte(hallpass.Secret(client)), 0o600))

	config := configure(t, "prometheus.yml",
		"https://hallpass.example.com", issuer, "monitoring.prometheus", client, "/etc/oauth2/client_secret", secretFile, "/etc/oauth2/ca.crt", caFile,
		"scrape_interval: 15s", "scrape_interval: 1s", "orders-api.orders.svc:8080", strings.TrimPrefix(target.URL, "http://"))
	address := world.FreeAddress(t)
	run(t, program, "--config.file="+config, "--storage.tsdb.path="+t.TempDir(), "--web.listen-address="+address, "--log.level=warn")
	eventually(t, "Prometheus scrapes", func() bool { return api.passed.Load() > 2 })

	for range world.Count(t, "HALLPASS_ROTATIONS", 3) {
		next := newSecret(t, hallpass, client)
		must(t, os.WriteFile(secretFile+".next", []byte(next), 0o600))
		must(t, os.Rename(secretFile+".next", secretFile))
		scraped := api.passed.Load()
		eventually(t, "it scrapes with the next secret", func() bool { return api.passed.Load() > scraped+1 })
		endFormer(hallpass, client)
		scraped = api.passed.Load()
		eventually(t, "it scrapes after the former secret ended", func() bool { return api.passed.Load() > scraped+3 })
	}
	if got := query(t, address, "min_over_time(up{job=\"orders\"}[1h])"); got != "1" {
		t.Errorf("a scrape failed: the least of up is %q", got)
	}
	if refused := api.refused.Load(); refused > 0 {
		t.Errorf("the API refused %d scrapes", refused)
	}
	hallpass.Suspend(client)
	eventually(t, "a scrape fails after the client was suspended", func() bool { return query(t, address, "up{job=\"orders\"}") == "0" })
}

// query asks Prometheus for one number; it is empty if there is none.
func query(t *testing.T, address, expression string) string {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+address+"/api/v1/query?query="+url.QueryEscape(expression), http.NoBody)
	must(t, err)
	response, err := http.DefaultClient.Do(request)
	must(t, err)
	defer func() { _ = response.Body.Close() }()
	var answer struct {
		Data struct {
			Result []struct {
				Value [2]any `json:"value"`
			} `json:"result"`
		} `json:"data"`
	}
	must(t, json.NewDecoder(response.Body).Decode(&answer))
	if len(answer.Data.Result) != 1 {
		return ""
	}
	text, _ := answer.Data.Result[0].Value[1].(string)
	return text
}
