// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package serve

import (
	"crypto/tls"
	"fmt"
	"os"
	"sync"
	"time"
)

// reloadInterval is how often a file is checked for changes at most.
const reloadInterval = time.Second

// certificate is a serving certificate in files. It is reloaded when the files change. New
// connections get the new certificate; open connections keep the old one.
type certificate struct {
	certFile, keyFile string

	mu       sync.Mutex
	current  *tls.Certificate
	modified time.Time
	checked  time.Time
}

// tlsConfig returns a configuration with the serving certificate and TLS 1.2 or later. The cipher
// suites are the defaults of crypto/tls.
func tlsConfig(certFile, keyFile string) (*tls.Config, error) {
	c := &certificate{certFile: certFile, keyFile: keyFile}
	if _, err := c.get(nil); err != nil {
		return nil, err
	}
	return &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: c.get, NextProtos: []string{"h2", "http/1.1"}}, nil
}

// addPublic has callers who ask for a name of a second certificate get that one.
func addPublic(config *tls.Config, certFile, keyFile string) error {
	public, otherwise := &certificate{certFile: certFile, keyFile: keyFile}, config.GetCertificate
	if _, err := public.get(nil); err != nil {
		return err
	}
	config.GetCertificate = func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
		if hello.ServerName != "" {
			if c, err := public.get(hello); err == nil && c.Leaf.VerifyHostname(hello.ServerName) == nil {
				return c, nil
			}
		}
		return otherwise(hello)
	}
	return nil
}

// get implements tls.Config.GetCertificate. If the new files cannot be loaded, for example because
// they are half written, it returns the last certificate that was loaded.
func (c *certificate) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.current != nil && time.Since(c.checked) < reloadInterval {
		return c.current, nil
	}
	c.checked = time.Now()
	info, err := os.Stat(c.certFile)
	if err == nil && (c.current == nil || !info.ModTime().Equal(c.modified)) {
		var pair tls.Certificate
		if pair, err = tls.LoadX509KeyPair(c.certFile, c.keyFile); err == nil {
			c.current, c.modified = &pair, info.ModTime()
		}
	}
	if c.current == nil {
		return nil, fmt.Errorf("load serving certificate: %w", err)
	}
	return c.current, nil
}
