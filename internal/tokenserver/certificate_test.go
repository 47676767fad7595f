// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package tokenserver

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hallpass-dev/hallpass/internal/oauth2"
)

// issuing is a certificate that issues others.
type issuing struct {
	*x509.Certificate

	key *ecdsa.PrivateKey
}

// validity is when a certificate begins and ends, since noon.
type validity struct{ begin, end time.Duration }

var always = validity{-time.Hour, 24 * time.Hour}

// issue makes a certificate; without an issuer it is a root.
func issue(t *testing.T, by *issuing, v validity, leaf bool) *issuing {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	serial, err := rand.Int(rand.Reader, big.NewInt(1<<60))
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: serial.String()}, NotBefore: noon.Add(v.begin), NotAfter: noon.Add(v.end),
		IsCA: !leaf, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	parent, signer := template, key
	if by != nil {
		parent, signer = by.Certificate, by.key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), signer)
	if err != nil {
		t.Fatal(err)
	}
	made, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return &issuing{made, key}
}

func poolOf(roots ...*issuing) *x509.CertPool {
	pool := x509.NewCertPool()
	for _, root := range roots {
		pool.AddCert(root.Certificate)
	}
	return pool
}

// chained issues a chain of so many certificates, the one of the caller first.
func chained(t *testing.T, root *issuing, length int) (chain []*x509.Certificate) {
	t.Helper()
	by := root
	for i := range length {
		by = issue(t, by, always, i == length-1)
		chain = append([]*x509.Certificate{by.Certificate}, chain...)
	}
	return chain
}

// The verdict of a connection is made once, and again when it may be another one.
func TestAClientCertificateIsVerifiedOnceAConnection(t *testing.T) {
	root, other := issue(t, nil, always, false), issue(t, nil, always, false)
	short := issue(t, root, validity{-time.Hour, 2 * time.Hour}, false)
	pool, foreign, both := poolOf(root), poolOf(other), poolOf(root, other)
	type request struct {
		after       time.Duration
		authorities *x509.CertPool
		good        bool
		verified    int // in all
	}
	for name, c := range map[string]struct {
		chain    []*x509.Certificate
		requests []request
	}{
		"a good one": {[]*x509.Certificate{issue(t, root, always, true).Certificate}, []request{
			{0, pool, true, 1}, {0, pool, true, 1}, {23 * time.Hour, pool, true, 1},
		}},
		"one of another authority": {[]*x509.Certificate{issue(t, other, always, true).Certificate}, []request{
			{0, pool, false, 1}, {0, pool, false, 1}, {23 * time.Hour, pool, false, 1},
		}},
		"one that ends while the connection lives": {[]*x509.Certificate{issue(t, root, validity{-time.Hour, time.Hour}, true).Certificate}, []request{
			{0, pool, true, 1}, {time.Hour, pool, true, 1}, {time.Hour + time.Second, pool, false, 2}, {2 * time.Hour, pool, false, 2},
		}},
		"one whose issuer ends while the connection lives": {[]*x509.Certificate{issue(t, short, always, true).Certificate, short.Certificate}, []request{
			{0, pool, true, 1}, {2 * time.Hour, pool, true, 1}, {2*time.Hour + time.Second, pool, false, 2},
		}},
		"one that begins while the connection lives": {[]*x509.Certificate{issue(t, root, validity{time.Minute, time.Hour}, true).Certificate}, []request{
			{0, pool, false, 1}, {time.Second, pool, false, 1}, {time.Minute, pool, true, 2}, {time.Minute, pool, true, 2},
		}},
		"authorities that are replaced": {[]*x509.Certificate{issue(t, root, always, true).Certificate}, []request{
			{0, pool, true, 1}, {0, foreign, false, 2}, {0, foreign, false, 2}, {0, both, true, 3}, {0, both, true, 3},
		}},
	} {
		t.Run(name, func(t *testing.T) {
			var of certificate
			verified := 0
			for i, r := range c.requests {
				err := of.verify(c.chain, r.authorities, noon.Add(r.after), func(verify func() error) error {
					verified++
					return verify()
				})
				if (err == nil) != r.good || verified != r.verified {
					t.Errorf("request %d after %s: %v, verified %d times, want %d", i, r.after, err, verified, r.verified)
				}
			}
		})
	}
}

// ask introspects without credentials on a connection with a chain of certificates. It returns what
// the answer reports about the certificate.
func (w *world) ask(connection context.Context, source string, chain []*x509.Certificate) string {
	r := httptest.NewRequestWithContext(connection, http.MethodPost, oauth2.IntrospectionPath, strings.NewReader("token=x"))
	r.RemoteAddr, r.TLS = source, &tls.ConnectionState{PeerCertificates: chain}
	answer := httptest.NewRecorder()
	w.handler.ServeHTTP(answer, r)
	switch body := answer.Body.String(); {
	case answer.Code != http.StatusUnauthorized:
		return answer.Result().Status
	case strings.Contains(body, "a client certificate is required here"):
		return "required"
	case strings.Contains(body, "send a chain of at most 4 certificates"):
		return "too long"
	}
	return "good"
}

func TestAChainHasAtMostFourCertificates(t *testing.T) {
	root := issue(t, nil, always, false)
	w := newWorld(t, func(s *settings) { s.IntrospectionAuthorities = func() *x509.CertPool { return poolOf(root) } })
	for length, want := range map[int]string{0: "required", 1: "good", maxChain: "good", maxChain + 1: "too long", 100: "too long"} {
		t.Run(strconv.Itoa(length), func(t *testing.T) {
			if got := w.ask(t.Context(), "192.0.2.1:1", chained(t, root, length)); got != want {
				t.Errorf("the certificate is %s, want %s", got, want)
			}
		})
	}
}

func TestWithoutAuthoritiesNoCertificateIsGood(t *testing.T) {
	w := newWorld(t, func(s *settings) { s.IntrospectionAuthorities = func() *x509.CertPool { return nil } })
	if got := w.ask(t.Context(), "192.0.2.1:1", chained(t, issue(t, nil, always, false), 1)); got != "required" {
		t.Errorf("the certificate is %s", got)
	}
}

// A flood of chains on new connections gets none accepted, and has no good one refused: of another
// source, and of its own.
func TestAFloodOfChainsRefusesNoGoodOne(t *testing.T) {
	root, foreign := issue(t, nil, always, false), issue(t, nil, always, false)
	pool := poolOf(root)
	w := newWorld(t, func(s *settings) { s.IntrospectionAuthorities = func() *x509.CertPool { return pool } })
	const hostile, honest = "192.0.2.1:1", "192.0.2.2:1"
	bad, good := chained(t, foreign, maxChain), chained(t, root, maxChain)
	kept := WithConnection(t.Context())
	var running sync.WaitGroup
	for range 50 {
		running.Go(func() {
			if got := w.ask(WithConnection(t.Context()), hostile, bad); got != "required" {
				t.Errorf("a bad chain is %s", got)
			}
			for _, source := range []string{hostile, honest} {
				if got := w.ask(WithConnection(t.Context()), source, good); got != "good" {
					t.Errorf("a good chain of %s on a new connection is %s", source, got)
				}
			}
			if got := w.ask(kept, honest, good); got != "good" {
				t.Errorf("a good chain on a connection that is kept is %s", got)
			}
		})
	}
	running.Wait()
}
