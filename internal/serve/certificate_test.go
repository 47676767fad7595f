// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package serve

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// writeCertificate makes a certificate for localhost and writes it into files.
func writeCertificate(t *testing.T) (certFile, keyFile string) {
	t.Helper()
	return writeCertificateFor(t, "localhost")
}

func writeCertificateFor(t *testing.T, names ...string) (certFile, keyFile string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: names, NotAfter: time.Now().Add(time.Hour)}
	certificate, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	certFile, keyFile = filepath.Join(t.TempDir(), "tls.crt"), filepath.Join(t.TempDir(), "tls.key")
	for file, block := range map[string]*pem.Block{certFile: {Type: "CERTIFICATE", Bytes: certificate}, keyFile: {Type: "PRIVATE KEY", Bytes: private}} {
		if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return certFile, keyFile
}

// The port accepts TLS 1.2 and 1.3 with forward secrecy and nothing older, and gives no answer
// without TLS.
func TestThePublicPortSpeaksModernTLSAlone(t *testing.T) {
	config, err := tlsConfig(writeCertificate(t))
	if err != nil {
		t.Fatal(err)
	}
	server := NewHTTPServer(HTTPConfig{Handler: http.NotFoundHandler(), TLS: config, Log: slog.New(slog.DiscardHandler)})
	listener, err := net.Listen("tcp", "localhost:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- HTTP(server, listener) }()
	defer func() {
		if err := server.Close(); err != nil {
			t.Error(err)
		}
		if err := <-done; err != nil {
			t.Error(err)
		}
	}()
	address := listener.Addr().String()
	for name, c := range map[string]struct {
		version uint16
		suites  []uint16
		ok      bool
	}{
		"TLS 1.0": {tls.VersionTLS10, nil, false},
		"TLS 1.1": {tls.VersionTLS11, nil, false},
		"TLS 1.2": {tls.VersionTLS12, nil, true},
		"TLS 1.3": {tls.VersionTLS13, nil, true},
		"TLS 1.2 without forward secrecy": {tls.VersionTLS12, []uint16{
			tls.TLS_RSA_WITH_AES_128_GCM_SHA256, tls.TLS_RSA_WITH_AES_256_GCM_SHA384, tls.TLS_RSA_WITH_AES_128_CBC_SHA,
		}, false},
		"TLS 1.2 with RC4 and 3DES": {tls.VersionTLS12, []uint16{tls.TLS_ECDHE_ECDSA_WITH_RC4_128_SHA, tls.TLS_ECDHE_RSA_WITH_3DES_EDE_CBC_SHA}, false},
	} {
		t.Run(name, func(t *testing.T) {
			dialer := &tls.Dialer{Config: &tls.Config{
				InsecureSkipVerify: true, //nolint:gosec // a scanner offers what it hopes to be refused
				MinVersion:         c.version, MaxVersion: c.version, CipherSuites: c.suites,
			}}
			connection, err := dialer.DialContext(t.Context(), "tcp", address)
			if (err == nil) != c.ok {
				t.Errorf("%v, want ok %t", err, c.ok)
			}
			if err == nil {
				_ = connection.Close()
			}
		})
	}
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+address+"/oauth2/token", strings.NewReader("grant_type=client_credentials"))
	if err != nil {
		t.Fatal(err)
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return // it hung up, which is as good
	}
	defer func() { _ = answer.Body.Close() }()
	if body, _ := io.ReadAll(answer.Body); answer.StatusCode != http.StatusBadRequest || strings.Contains(string(body), "token") {
		t.Errorf("without TLS: %d %s", answer.StatusCode, body)
	}
}

// With two certificates a caller gets the one for the name that it asks for.
func TestTheNameDecidesAboutTheCertificate(t *testing.T) {
	var files Files
	files.Certificate, files.Key = writeCertificateFor(t, "tokens.hallpass-system.svc", "hallpass.example.com")
	files.PublicCertificate, files.PublicKey = writeCertificateFor(t, "hallpass.example.com", "*.id.example.com")
	loaded, err := files.TLS()
	if err != nil {
		t.Fatal(err)
	}
	for asked, want := range map[string]string{
		"hallpass.example.com": "*.id.example.com", "a.id.example.com": "*.id.example.com", "tokens.hallpass-system.svc": "tokens.hallpass-system.svc",
		"other.example.com": "tokens.hallpass-system.svc", "": "tokens.hallpass-system.svc",
	} {
		served, err := loaded.Plain.GetCertificate(&tls.ClientHelloInfo{ServerName: asked})
		if err != nil {
			t.Fatal(err)
		}
		if served.Leaf.VerifyHostname(strings.Replace(want, "*", "a", 1)) != nil {
			t.Errorf("who asks for %q gets the certificate for %v", asked, served.Leaf.DNSNames)
		}
	}
	files.PublicKey = files.Key
	if _, err := files.TLS(); err == nil {
		t.Error("a key of another certificate is taken")
	}
}
