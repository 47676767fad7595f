// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package consumers_test

import (
	"bufio"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hallpass-dev/hallpass/internal/jws"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
	"github.com/hallpass-dev/hallpass/test/kit/memory"
)

// bearerWorld is an API whose metrics a client reads by a key of its own.
type bearerWorld struct {
	hallpass       *memory.Server
	issuer, client string
	caFile         string
	keyFile        string
	api            *metricsAPI
	target         string
}

func newBearerWorld(t *testing.T) *bearerWorld {
	t.Helper()
	listener := memory.Listen(t)
	_, port, _ := strings.Cut(listener.Addr().String(), ":")
	w := &bearerWorld{issuer: "https://localhost:" + port}
	w.hallpass = memory.New(t, w.issuer)
	w.caFile = w.hallpass.Serve(listener)
	owner := w.hallpass.Register("orders-api")
	w.client = w.hallpass.Register("prometheus")
	orders := oauth2.ObjectName{Namespace: memory.Namespace, Name: "orders-api"}
	w.hallpass.Declare(oauth2.Resource{
		Identifier: w.issuer + "/resources/orders/orders-api", UID: "uid-of-orders", Namespace: orders.Namespace, Name: orders.Name,
		Scopes: []string{"metrics.read"}, Consents: []oauth2.Consent{{Namespaces: []string{memory.Namespace}, Scopes: []string{"metrics.read"}}},
	})
	w.hallpass.Change(w.client, func(c *oauth2.Client) {
		c.Access = []oauth2.Access{{Resource: orders, Scopes: []string{"metrics.read"}}}
	})
	w.rotate(t)
	w.api = &metricsAPI{hallpass: w.hallpass, client: w.client, owner: owner}
	target := httptest.NewServer(w.api)
	t.Cleanup(target.Close)
	w.target = target.URL
	return w
}

// rotate gives the client another key, in the place of the one before.
func (w *bearerWorld) rotate(t *testing.T) {
	t.Helper()
	w.keyFile = authenticateByKey(t, w.hallpass, w.client, 10*time.Minute)
}

// authenticateByKey gives a client a key in the place of its secret, and returns the file of the
// private one. Its assertions are the grant.
func authenticateByKey(t *testing.T, hallpass *memory.Server, client string, maxLife time.Duration) (keyFile string) {
	t.Helper()
	private, err := rsa.GenerateKey(rand.Reader, jws.MinRSABits)
	must(t, err)
	keyFile = filepath.Join(t.TempDir(), "key.pem")
	block := &pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(private)}
	must(t, os.WriteFile(keyFile, pem.EncodeToMemory(block), 0o600))
	keys, err := jws.PackKeys(jws.PublicKey{ID: "2026", Algorithm: jws.RS256, Key: private.Public()})
	must(t, err)
	hallpass.Change(client, func(c *oauth2.Client) {
		c.Credentials = oauth2.Credentials{KeysOnly: true, Keys: keys, MaxAssertionLife: maxLife}
		c.GrantTypes = oauth2.JWTBearer
	})
	return keyFile
}

// scraper is a running program that scrapes once for each line.
type scraper struct {
	t      *testing.T
	lines  io.Writer
	prints *bufio.Scanner
}

func (s scraper) scrape() string {
	s.t.Helper()
	_, err := fmt.Fprintln(s.lines)
	must(s.t, err)
	if !s.prints.Scan() {
		s.t.Fatalf("the program has ended: %v", s.prints.Err())
	}
	return s.prints.Text()
}

// prometheusClient starts the client code of Prometheus with the documented configuration.
func (w *bearerWorld) prometheusClient(t *testing.T, addresses ...string) scraper {
	t.Helper()
	program := filepath.Join(t.TempDir(), "bearer")
	build := exec.CommandContext(t.Context(), "go", "build", "-trimpath", "-o", program, ".")
	build.Dir, build.Env = "bearer", append(os.Environ(), "CGO_ENABLED=0")
	if printed, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build the client of Prometheus: %v: %s", err, printed)
	}
	config := configure(t, "prometheus-jwt-bearer.yml", append([]string{
		"audience: https://hallpass.example.com", "audience: " + w.issuer, "https://hallpass.example.com", w.issuer, "monitoring.prometheus", w.client,
		"/etc/prometheus/key.pem", w.keyFile, "/etc/oauth2/ca.crt", w.caFile,
	}, addresses...)...)
	command := exec.CommandContext(t.Context(), program, config, w.target)
	lines, err := command.StdinPipe()
	must(t, err)
	prints, err := command.StdoutPipe()
	must(t, err)
	command.Stderr = os.Stderr
	must(t, command.Start())
	t.Cleanup(func() {
		_ = lines.Close()
		_ = command.Wait()
	})
	return scraper{t, lines, bufio.NewScanner(prints)}
}

// The client code of Prometheus, unmodified, gets its tokens by assertions as the grant.
func TestTheClientOfPrometheusSendsAssertions(t *testing.T) {
	w := newBearerWorld(t)
	if got := w.prometheusClient(t).scrape(); got != "200" || w.api.passed.Load() != 1 {
		t.Errorf("a scrape: %s, %d passed", got, w.api.passed.Load())
	}
	for name, c := range map[string]struct {
		change    func(*oauth2.Client)
		addresses []string
		want      string
	}{
		"a client whose assertions live for five minutes": {
			func(c *oauth2.Client) { c.Credentials.MaxAssertionLife = 0 }, nil, "exp is more than 5m0s ahead",
		},
		"a client without the grant type": {
			func(c *oauth2.Client) { c.GrantTypes = 0 }, nil, "add JWTBearer to spec.grantTypes",
		},
		"the token endpoint as audience": {
			func(*oauth2.Client) {}, []string{"audience: " + w.issuer + "\n", "audience: " + w.issuer + "/oauth2/token\n"}, "aud must be the issuer",
		},
		"a suspended client": {func(c *oauth2.Client) { c.Suspended = true }, nil, "the assertion is not accepted"},
	} {
		t.Run(name, func(t *testing.T) {
			w.rotate(t)
			w.hallpass.Change(w.client, func(c *oauth2.Client) { c.Suspended = false })
			w.hallpass.Change(w.client, c.change)
			if got := w.prometheusClient(t, c.addresses...).scrape(); !strings.Contains(got, c.want) {
				t.Errorf("%s, want %s", got, c.want)
			}
		})
	}
	w.rotate(t)
	w.hallpass.Change(w.client, func(c *oauth2.Client) { c.Suspended = false })
	if got := w.prometheusClient(t).scrape(); got != "200" {
		t.Errorf("with another key: %s", got)
	}
}
