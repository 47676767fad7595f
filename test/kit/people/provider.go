// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

// Package people has what persons need in tests to log in: identity providers that others have
// written, login with the rights that it has in an installation, and a browser.
package people

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/hallpass-dev/hallpass/test/kit/installation"
	"github.com/hallpass-dev/hallpass/test/kit/issuers"
	"github.com/hallpass-dev/hallpass/test/kit/keycloak"
)

// Provider is an identity provider in which Hallpass is the client hallpass, with the secret
// provider-secret.
type Provider struct {
	// Name is that of its OAuth2TrustedIssuer; its host is in example.com.
	Name string
	// Issuer is its issuer identifier.
	Issuer string
	// Typed is what a person types, by the names of the fields, and Subject the sub of this
	// person.
	Typed   map[string]string
	Subject string

	process *exec.Cmd
	// ended is closed when the process has ended.
	ended chan struct{}
	proxy *httptest.Server
}

// Stop ends it.
func (p *Provider) Stop() {
	if p.proxy != nil {
		p.proxy.Close()
	}
	if p.ended != nil {
		// with the processes that it has started, which may outlive it
		_ = syscall.Kill(-p.process.Process.Pid, syscall.SIGKILL)
		<-p.ended
	}
}

// certificate is the one that each host of example.com has in tests.
func certificate() (tls.Certificate, []byte) {
	server := httptest.NewTLSServer(http.NotFoundHandler())
	defer server.Close()
	return server.TLS.Certificates[0], pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
}

// CA is the authority of the certificate that each host of example.com has in tests, in PEM.
func CA() []byte {
	_, ca := certificate()
	return ca
}

// start starts a provider behind a proxy that has the certificate of its host. Its address is the
// first line that it prints.
func (p *Provider) start(network *issuers.Network, command ...string) error {
	p.prepare(command...)
	output, err := p.process.StdoutPipe()
	if err != nil {
		return fmt.Errorf("start %s: %w", p.Name, err)
	}
	if err := p.run(); err != nil {
		return err
	}
	lines := bufio.NewReader(output)
	address, err := lines.ReadString('\n')
	if err != nil {
		return fmt.Errorf("start %s: it prints no address: %w", p.Name, err)
	}
	go func() { _, _ = io.Copy(io.Discard, lines) }()
	p.expose(network, strings.TrimSpace(address))
	return nil
}

// prepare prepares a process with a group of its own. Stop ends it.
func (p *Provider) prepare(command ...string) {
	// Close ends it
	p.process = exec.CommandContext(context.Background(), command[0], command[1:]...)
	p.process.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
}

// run starts the process.
func (p *Provider) run() error {
	if err := p.process.Start(); err != nil {
		return fmt.Errorf("start %s: %w", p.Name, err)
	}
	p.ended = make(chan struct{})
	go func() {
		_ = p.process.Wait()
		close(p.ended)
	}()
	return nil
}

// expose answers for the host of the provider.
func (p *Provider) expose(network *issuers.Network, address string) {
	to := &url.URL{Scheme: "http", Host: address}
	p.proxy = httptest.NewTLSServer(&httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(to)
		r.SetXForwarded()
		r.Out.Host = r.In.Host
	}})
	network.Add(p.host(), p.proxy.Listener.Addr().String())
}

func (p *Provider) host() string { return p.Name + ".example.com" }

// origin is where browsers and login reach it.
func (p *Provider) origin() string { return "https://" + p.host() }

// StartZitadel builds and starts the example provider of zitadel/oidc, which gets a name.
func StartZitadel(ctx context.Context, network *issuers.Network, root, login, name string) (*Provider, error) {
	p := &Provider{Name: name, Subject: "id1"}
	p.Issuer = p.origin()
	p.Typed = map[string]string{"username": "test-user@" + p.host(), "password": "verysecure"}
	program := filepath.Join(root, "bin", "tests", "zitadel")
	build := exec.CommandContext(ctx, "go", "build", "-trimpath", "-o", program, ".")
	build.Dir, build.Env = filepath.Join(root, "test", "compat", "login", "zitadel"), append(os.Environ(), "CGO_ENABLED=0")
	if output, err := build.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("build the provider of zitadel: %w: %s", err, output)
	}
	return p, p.start(network, program, p.Issuer, login+"/callback/"+p.Name) //nolint:contextcheck // it outlives the start
}

// StartOIDCProvider starts the provider of npm's oidc-provider, which is installed in a directory.
// It takes each name and password.
func StartOIDCProvider(network *issuers.Network, dir, login string) (*Provider, error) {
	p := &Provider{Name: "oidc-provider", Subject: "alice", Typed: map[string]string{"login": "alice", "password": "any"}}
	p.Issuer = p.origin()
	return p, p.start(network, "node", filepath.Join(dir, "provider.mjs"), p.Issuer, login+"/callback/"+p.Name)
}

// StartKeycloak starts Keycloak with a realm that has the person alice, in a directory.
func StartKeycloak(ctx context.Context, network *issuers.Network, root, dir string) (*Provider, error) {
	p := &Provider{Name: "keycloak", Subject: "6a4f1b0c-2f0e-4c59-9d50-0a4b8f3c7e11", Typed: map[string]string{"username": "alice", "password": "correct horse"}}
	p.Issuer = p.origin() + "/realms/people"
	program, err := keycloak.Install(ctx, dir, filepath.Join(root, "test", "compat", "login", "keycloak"))
	if err != nil {
		return nil, err
	}
	address, err := installation.FreeAddress()
	if err != nil {
		return nil, err
	}
	arguments, err := keycloak.Arguments(address, p.origin())
	if err != nil {
		return nil, err
	}
	p.prepare(append([]string{program}, append(arguments, "--proxy-headers=xforwarded")...)...) //nolint:contextcheck // it outlives the start
	log, err := os.Create(filepath.Join(dir, "keycloak.log"))
	if err != nil {
		return nil, fmt.Errorf("start Keycloak: %w", err)
	}
	defer func() { _ = log.Close() }()
	// Java takes a large part of the machine's memory otherwise, and compiles for hours of
	// work, of which there are seconds
	p.process.Env = append(os.Environ(), "JAVA_OPTS_KC_HEAP=-Xms64m -Xmx512m", "JAVA_OPTS_APPEND=-XX:TieredStopAtLevel=1")
	p.process.Stdout, p.process.Stderr = log, log
	if err := p.run(); err != nil {
		return nil, err
	}
	p.expose(network, address)
	err = installation.Wait(ctx, "Keycloak serves its realm", func() (bool, error) {
		select {
		case <-p.ended:
			return false, fmt.Errorf("%s ends at its start", filepath.Base(program))
		default:
		}
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+"/realms/people/.well-known/openid-configuration", http.NoBody)
		if err != nil {
			return false, err
		}
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			return false, nil //nolint:nilerr // it has not started yet
		}
		return response.StatusCode == http.StatusOK, response.Body.Close()
	})
	if err != nil {
		printed, readErr := os.ReadFile(log.Name())
		p.Stop()
		return nil, errors.Join(fmt.Errorf("%w: %s", err, printed), readErr)
	}
	return p, nil
}
