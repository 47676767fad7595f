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

// Files are PEM files. They are reloaded when they change.
type Files struct {
	// Certificate and Key are the files of the serving certificate and of its private key.
	Certificate, Key string
	// PublicCertificate and PublicKey are those of a second certificate, which callers get who
	// ask for one of its names (SNI). If they are empty, there is one certificate.
	PublicCertificate, PublicKey string
	// ClientCAs is the file of the certificate authorities (CAs) of client certificates. If it
	// is empty, no client certificate is requested.
	ClientCAs string
}

// TLS are the TLS configurations of a process. The zero value is that of a process that serves
// without TLS.
type TLS struct {
	// Plain has the serving certificate and requests no client certificate.
	Plain *tls.Config
	// Requesting also requests a client certificate, but does not require one: only some
	// endpoints need it, and the certificate of another CA is no error at the others. It is
	// Plain if there are no ClientCAs.
	Requesting *tls.Config
	// ClientCAs returns the current CAs of client certificates. It is nil if there are none.
	ClientCAs func() *x509.CertPool
}

// TLS loads the files. It fails if one cannot be loaded.
func (f Files) TLS() (TLS, error) {
	config, err := tlsConfig(f.Certificate, f.Key)
	if err == nil && f.PublicCertificate != "" {
		err = addPublic(config, f.PublicCertificate, f.PublicKey)
	}
	if err != nil || f.ClientCAs == "" {
		return TLS{Plain: config, Requesting: config}, err
	}
	c := &clientCAs{file: f.ClientCAs, base: config}
	if err := c.read(); err != nil {
		return TLS{}, err
	}
	requesting := config.Clone()
	requesting.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) {
		_, current := c.get()
		return current, nil
	}
	return TLS{Plain: config, Requesting: requesting, ClientCAs: func() *x509.CertPool {
		pool, _ := c.get()
		return pool
	}}, nil
}

// clientCAs are the CAs of client certificates in a file, which is reloaded when it changes.
type clientCAs struct {
	file string
	base *tls.Config

	mu       sync.Mutex
	pool     *x509.CertPool
	config   *tls.Config
	modified time.Time
	checked  time.Time
}

// get returns the CAs and the configuration that requests their certificates. If the file cannot be
// loaded, it returns the last ones that were loaded.
func (c *clientCAs) get() (*x509.CertPool, *tls.Config) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if time.Since(c.checked) >= reloadInterval {
		_ = c.readLocked()
	}
	return c.pool, c.config
}

func (c *clientCAs) read() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.readLocked()
}

// readLocked loads the file if it has changed. The configuration is replaced only together with the
// CAs, because it holds the keys of the sessions that clients resume.
func (c *clientCAs) readLocked() error {
	c.checked = time.Now()
	info, err := os.Stat(c.file)
	if err != nil {
		return fmt.Errorf("load the authorities of client certificates: %w", err)
	}
	if c.pool != nil && info.ModTime().Equal(c.modified) {
		return nil
	}
	content, err := os.ReadFile(c.file)
	if err != nil {
		return fmt.Errorf("load the authorities of client certificates: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(content) {
		return errors.New("load the authorities of client certificates: there are none in " + c.file)
	}
	c.pool, c.modified, c.config = pool, info.ModTime(), c.base.Clone()
	c.config.ClientAuth, c.config.ClientCAs = tls.RequestClientCert, pool
	return nil
}
