// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package serve

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"
)

// clientAuthorities are the authorities of client certificates, in a file that is read again when it changes.
type clientAuthorities struct {
	file string
	base *tls.Config

	mu       sync.Mutex
	pool     *x509.CertPool
	config   *tls.Config
	modified time.Time
	checked  time.Time
}

// Files are the files of certificates, in PEM.
type Files struct {
	// Certificate and Key are the serving certificate.
	Certificate, Key string
	// ClientCAs has the authorities of client certificates; empty asks for none.
	ClientCAs string
}

// Secured is how the ports are secured; without HTTPS nothing is set.
type Secured struct {
	Public, Envoy *tls.Config
	// Authorities are those of client certificates, if callers of introspection need one.
	Authorities func() *x509.CertPool
}

// Security reads certificate and authorities. The public port asks for client certificates if one endpoint needs them, and does not
// insist: the others want none, and whoever has one of somebody else's is welcome there.
func Security(files Files) (Secured, error) {
	config, err := tlsConfig(files.Certificate, files.Key)
	if err != nil || files.ClientCAs == "" {
		return Secured{Public: config, Envoy: config}, err
	}
	a := &clientAuthorities{file: files.ClientCAs, base: config}
	if err := a.read(); err != nil {
		return Secured{}, err
	}
	public := config.Clone()
	public.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) {
		_, current := a.get()
		return current, nil
	}
	return Secured{Public: public, Envoy: config, Authorities: func() *x509.CertPool {
		pool, _ := a.get()
		return pool
	}}, nil
}

// get returns what the file has. While it cannot be read, what it had before counts.
func (a *clientAuthorities) get() (*x509.CertPool, *tls.Config) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if time.Since(a.checked) >= certificateCheck {
		_ = a.readLocked()
	}
	return a.pool, a.config
}

func (a *clientAuthorities) read() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.readLocked()
}

// readLocked reads the file if it has changed. The configuration stays the same while the authorities do, and with it the keys of the
// sessions that clients resume.
func (a *clientAuthorities) readLocked() error {
	a.checked = time.Now()
	info, err := os.Stat(a.file)
	if err != nil {
		return fmt.Errorf("load the authorities of client certificates: %w", err)
	}
	if a.pool != nil && info.ModTime().Equal(a.modified) {
		return nil
	}
	content, err := os.ReadFile(a.file)
	if err != nil {
		return fmt.Errorf("load the authorities of client certificates: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(content) {
		return errors.New("load the authorities of client certificates: there are none in " + a.file)
	}
	a.pool, a.modified, a.config = pool, info.ModTime(), a.base.Clone()
	a.config.ClientAuth, a.config.ClientCAs = tls.RequestClientCert, pool
	return nil
}
