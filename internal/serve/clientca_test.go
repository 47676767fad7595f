// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package serve

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"net/http/httptrace"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/client-go/rest"

	"github.com/hallpass-dev/hallpass/internal/audit"
	"github.com/hallpass-dev/hallpass/internal/auth"
	"github.com/hallpass-dev/hallpass/internal/directory"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
	"github.com/hallpass-dev/hallpass/internal/revocation"
	"github.com/hallpass-dev/hallpass/internal/tokenserver"
)

// authority issues client certificates.
type authority struct {
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
}

func newClientAuthority(t *testing.T) authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "authority"}, NotBefore: time.Now().Add(-time.Hour), IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign, NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	must(t, err)
	certificate, err := x509.ParseCertificate(der)
	must(t, err)
	return authority{certificate, key}
}

func (a authority) issue(t *testing.T, usage x509.ExtKeyUsage, end time.Time) *tls.Certificate {
	t.Helper()
	template := &x509.Certificate{SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "caller"}, NotBefore: time.Now().Add(-time.Hour), ExtKeyUsage: []x509.ExtKeyUsage{usage}, NotAfter: end}
	der, err := x509.CreateCertificate(rand.Reader, template, a.certificate, a.key.Public(), a.key)
	must(t, err)
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: a.key}
}

func (a authority) write(t *testing.T, file string, modified time.Time) {
	t.Helper()
	must(t, os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.certificate.Raw}), 0o600))
	must(t, os.Chtimes(file, modified, modified))
}

// secureServer is the public port with certificates in files.
type secureServer struct {
	Files

	address string
	http    *http.Server
}

func newSecureServer(t *testing.T, files Files) *secureServer {
	t.Helper()
	files.Certificate, files.Key = writeCertificate(t)
	config, err := files.TLS()
	must(t, err)
	log := slog.New(slog.DiscardHandler)
	handler := newHandler(t, config.ClientCAs)
	s := &secureServer{Files: files, http: NewHTTPServer(HTTPConfig{
		Handler: handler, TLS: config.Requesting, Log: log, Connection: tokenserver.WithConnection,
	})}
	listener, err := net.Listen("tcp", "localhost:0")
	must(t, err)
	s.address = listener.Addr().String()
	done := make(chan error, 1)
	go func() { done <- HTTP(s.http, listener) }()
	t.Cleanup(func() {
		_ = s.http.Close()
		must(t, <-done)
	})
	return s
}

// newHandler returns the handler of the public port. It knows no client.
func newHandler(t *testing.T, authorities func() *x509.CertPool) http.Handler {
	t.Helper()
	dir, err := directory.New(directory.Config{REST: &rest.Config{Host: "localhost:1"}, Log: slog.New(slog.DiscardHandler)})
	must(t, err)
	issuer, err := oauth2.ParseIssuer("https://localhost", false)
	must(t, err)
	log := slog.New(slog.DiscardHandler)
	metrics := audit.NewMetrics(prometheus.NewRegistry())
	journal := revocation.NewJournal(dir.RevocationStore(), time.Now, metrics.Wrote, log)
	return tokenserver.New(tokenserver.Config{
		IntrospectionAuthorities: authorities,
		Authority:                auth.New(auth.Config{Issuer: issuer, Directory: dir, Journal: journal, Random: rand.Reader}),
		Auditor:                  audit.New(audit.Config{Lines: io.Discard, Log: log, Metrics: metrics}),
	})
}

// caller is a client with a certificate, or without one.
func caller(certificate *tls.Certificate) *http.Client {
	config := &tls.Config{InsecureSkipVerify: true} //nolint:gosec // the test is about what the server checks
	if certificate != nil {
		config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return certificate, nil }
	}
	return &http.Client{Timeout: 3 * time.Minute, Transport: &http.Transport{TLSClientConfig: config, ForceAttemptHTTP2: true}}
}

// ask posts to a path without credentials. It returns whether the response reports that a
// certificate is missing.
func (s *secureServer) ask(t *testing.T, by *http.Client, path string) (uncertified, reused bool) {
	t.Helper()
	ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{GotConn: func(info httptrace.GotConnInfo) { reused = info.Reused }})
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, "https://"+s.address+path, strings.NewReader("token=x"))
	must(t, err)
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	answer, err := by.Do(request)
	must(t, err)
	body, err := io.ReadAll(answer.Body)
	must(t, errors.Join(err, answer.Body.Close()))
	if answer.StatusCode != http.StatusUnauthorized {
		t.Errorf("%s without credentials: %s %s", path, answer.Status, body)
	}
	return strings.Contains(string(body), "a client certificate is required here"), reused
}

func TestIntrospectionRequiresAClientCertificate(t *testing.T) {
	file := filepath.Join(t.TempDir(), "ca.crt")
	ours, others := newClientAuthority(t), newClientAuthority(t)
	began := time.Now().Add(-time.Hour)
	ours.write(t, file, began)
	s := newSecureServer(t, Files{ClientCAs: file})
	good := ours.issue(t, x509.ExtKeyUsageClientAuth, time.Now().Add(time.Hour))
	for name, c := range map[string]struct {
		certificate *tls.Certificate
		admitted    bool
	}{
		"one of its authority":     {good, true},
		"none":                     {nil, false},
		"one of another authority": {others.issue(t, x509.ExtKeyUsageClientAuth, time.Now().Add(time.Hour)), false},
		"one that has ended":       {ours.issue(t, x509.ExtKeyUsageClientAuth, time.Now().Add(-time.Minute)), false},
		"one that is for servers":  {ours.issue(t, x509.ExtKeyUsageServerAuth, time.Now().Add(time.Hour)), false},
	} {
		t.Run(name, func(t *testing.T) {
			by := caller(c.certificate)
			defer by.CloseIdleConnections()
			if uncertified, _ := s.ask(t, by, oauth2.IntrospectionPath); uncertified == c.admitted {
				t.Errorf("introspection wants another certificate: %t", uncertified)
			}
			if uncertified, _ := s.ask(t, by, oauth2.TokenPath); uncertified {
				t.Error("the token endpoint wants a certificate")
			}
		})
	}

	// The authorities are replaced while a connection is open. It stays open, and its
	// certificate is not accepted any more.
	by := caller(good)
	defer by.CloseIdleConnections()
	if uncertified, _ := s.ask(t, by, oauth2.IntrospectionPath); uncertified {
		t.Fatal("its certificate does not count")
	}
	others.write(t, file, began.Add(time.Minute))
	deadline := time.Now().Add(3 * time.Minute)
	for {
		uncertified, reused := s.ask(t, by, oauth2.IntrospectionPath)
		if !reused {
			t.Fatal("the connection was dropped")
		}
		if uncertified {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("new authorities are not read")
		}
	}
}

func TestAnotherCertificateIsServedAndNoConnectionDropped(t *testing.T) {
	s := newSecureServer(t, Files{})
	kept := caller(nil)
	defer kept.CloseIdleConnections()
	s.ask(t, kept, oauth2.TokenPath)
	served := func() string {
		dialer := &tls.Dialer{Config: &tls.Config{InsecureSkipVerify: true}} //nolint:gosec // only which one it is
		connection, err := dialer.DialContext(t.Context(), "tcp", s.address)
		must(t, err)
		defer func() { _ = connection.Close() }()
		secure, ok := connection.(*tls.Conn)
		if !ok {
			t.Fatalf("%T is no TLS", connection)
		}
		return string(secure.ConnectionState().PeerCertificates[0].Raw)
	}
	before := served()
	must(t, os.Truncate(s.Certificate, 10)) // half written
	must(t, os.Chtimes(s.Certificate, time.Now(), time.Now().Add(time.Minute)))
	certFile, keyFile := writeCertificate(t)
	for from, to := range map[string]string{keyFile: s.Key, certFile: s.Certificate} {
		must(t, os.Rename(from, to))
	}
	must(t, os.Chtimes(s.Certificate, time.Now(), time.Now().Add(2*time.Minute)))
	for deadline := time.Now().Add(3 * time.Minute); served() == before; {
		if time.Now().After(deadline) {
			t.Fatal("the new certificate is not served")
		}
	}
	if _, reused := s.ask(t, kept, oauth2.TokenPath); !reused {
		t.Error("the connection was dropped")
	}
}

func TestAuthoritiesOfClientsThatCannotBeReadKeepTheServerFromStarting(t *testing.T) {
	file := filepath.Join(t.TempDir(), "ca.crt")
	files := Files{ClientCAs: file}
	files.Certificate, files.Key = writeCertificate(t)
	if _, err := files.TLS(); err == nil {
		t.Error("it starts without the file")
	}
	must(t, os.WriteFile(file, []byte("nothing"), 0o600))
	if _, err := files.TLS(); err == nil {
		t.Error("it starts with a file without authorities")
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
