// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package installation

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	ctrl "sigs.k8s.io/controller-runtime"

	manager "github.com/hallpass-dev/hallpass/cmd/manager/app"
	tokenserver "github.com/hallpass-dev/hallpass/cmd/tokenserver/app"
	"github.com/hallpass-dev/hallpass/internal/apiclock"
	"github.com/hallpass-dev/hallpass/internal/controller/issuerkeys"
	"github.com/hallpass-dev/hallpass/internal/controller/servingcert"
	"github.com/hallpass-dev/hallpass/internal/keyring"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
	"github.com/hallpass-dev/hallpass/internal/serve"
	"github.com/hallpass-dev/hallpass/test/kit/controlplane"
)

// Running is an installation whose binaries' Run functions run in this process, each with the
// rights of its own service account.
type Running struct {
	// ControlPlane is what it runs on.
	ControlPlane *controlplane.ControlPlane
	// Issuer is where the token server is reached, and Ops its other port.
	Issuer oauth2.Issuer
	Ops    string
	// CAFile is what callers trust.
	CAFile string
	// HTTP trusts it.
	HTTP *http.Client
	// Log is everything that both have logged.
	Log *Log
	// AllowClientID is the manager's flag, from its next start on.
	AllowClientID bool
	// AllowClaims is the manager's flag, from its next start on.
	AllowClaims []oauth2.ClaimRule
	// Trust are the manager's flags about what callers trust, from its next start on.
	Trust manager.Trust
	// SigningKeys is how keys live, from the manager's next start on.
	SigningKeys keyring.Policy
	// CertificateLives is how long certificates live, from the manager's next start on.
	CertificateLives servingcert.Lives
	// Clock is that of the manager, from its next start on; nil stands for that of the machine.
	// That one is compared with the API server's clock from the first start on, so that only
	// the first manager waits a minute before it deletes anything.
	Clock *apiclock.Clock

	// IssuerFetcher is that of the manager, from its next start on.
	IssuerFetcher issuerkeys.Fetcher
	// LoginURL is the flag of the manager, from its next start on.
	LoginURL string

	usageRefresh time.Duration
	machine      *apiclock.Clock

	dir         string
	namespaces  []string
	port        string
	certificate Certificate
	options     Options
	stopManager func() error
	stopServer  func() error
}

// Options change how an installation runs. The zero Options are the ordinary way.
type Options struct {
	// TokenServerREST changes how the token server talks to the API server.
	TokenServerREST func(*rest.Config)
	// Kustomization below the root of the repository is what is applied; left out it is
	// config/default.
	Kustomization string
	// Namespaces are the users' namespaces that the manager works in; none stands for all.
	Namespaces []string
	// AllowGrantTypes is the manager's flag for these.
	AllowGrantTypes []string
	// UsageInterval and UsageRefresh are how often the use of clients is reported, and written
	// into their status.
	UsageInterval, UsageRefresh time.Duration
	// IssuerFetcher fetches the keys of trusted issuers.
	IssuerFetcher issuerkeys.Fetcher
	// LoginURL is the origin of login; empty for none.
	LoginURL string
	// LoginListen is the address of the port at which the token server answers login; empty
	// serves no persons.
	LoginListen string
}

var quiet sync.Once //nolint:gochecknoglobals // of a logger that is global itself

// Run installs Hallpass from the repository at root and starts it.
func Run(ctx context.Context, cp *controlplane.ControlPlane, root string, options Options) (*Running, error) {
	// or controller-runtime complains; each manager has a logger of its own
	quiet.Do(func() { ctrl.SetLogger(logr.Discard()) })
	if err := installFrom(ctx, cp, root, cmp.Or(options.Kustomization, defaultKustomization)); err != nil {
		return nil, err
	}
	address, err := FreeAddress()
	if err != nil {
		return nil, err
	}
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	r := &Running{
		ControlPlane: cp, Log: &Log{}, machine: apiclock.New(), namespaces: options.Namespaces, SigningKeys: keyring.DefaultPolicy(oauth2.MaxTokenLifetime),
		usageRefresh: options.UsageRefresh, port: port, options: options, IssuerFetcher: options.IssuerFetcher, LoginURL: options.LoginURL,
	}
	if r.Issuer, err = oauth2.ParseIssuer("https://localhost:"+port, false); err != nil {
		return nil, err
	}
	if r.dir, err = os.MkdirTemp("", "hallpass-installation-"); err != nil {
		return nil, fmt.Errorf("make a directory for the certificate: %w", err)
	}
	if err := r.start(ctx); err != nil {
		return nil, errors.Join(err, r.Stop())
	}
	return r, nil
}

func (r *Running) start(ctx context.Context) error {
	if err := r.StartManager(ctx); err != nil {
		return err
	}
	client, err := kubernetes.NewForConfig(r.ControlPlane.AdminConfig())
	if err != nil {
		return fmt.Errorf("connect as administrator: %w", err)
	}
	if r.certificate, err = WriteCertificate(ctx, client, r.dir); err != nil {
		return err
	}
	r.CAFile = r.certificate.CAFile
	if r.HTTP, err = trusting(r.CAFile); err != nil {
		return err
	}
	return r.StartTokenServer(ctx)
}

// StartManager starts the manager, at first or after StopManager.
func (r *Running) StartManager(ctx context.Context) error {
	config, err := r.ControlPlane.ServiceAccountConfig(ctx, SystemNamespace, ManagerAccount)
	if err != nil {
		return err
	}
	issuer, names := r.Issuer, []string{"localhost"}
	if r.Trust.InternalURL != "" {
		if issuer, err = oauth2.ParseIssuers(r.Issuer.String(), r.Trust.InternalURL, false); err != nil {
			return fmt.Errorf("start the manager: %w", err)
		}
		names = append(names, strings.TrimPrefix(r.Trust.InternalURL, "https://"))
	}
	r.stopManager = background(ctx, func(ctx context.Context) error {
		return manager.Run(ctx, manager.Options{
			Issuer: issuer, Trust: r.Trust, REST: config, RegistryNamespace: RegistryNamespace, SystemNamespace: SystemNamespace,
			ServingNames: names, ManageServingCertificate: true,
			SigningKeys: r.SigningKeys, CertificateLives: r.CertificateLives, Namespaces: r.namespaces, Clock: cmp.Or(r.Clock, r.machine),
			MaxTokenLifetime: manager.DefaultMaxTokenLifetime,
			UsageRefresh:     r.usageRefresh,
			IssuerFetcher:    r.IssuerFetcher,
			LoginURL:         r.LoginURL,
			AllowClientID:    r.AllowClientID, AllowClaims: r.AllowClaims, AllowGrantTypes: r.options.AllowGrantTypes,
			ProtectedLabels: []string{"kubernetes.io/metadata.name", ProtectedLabel},
			APIAudiences:    []string{"https://kubernetes.default.svc"}, MetricsListen: "0", HealthListen: "0", Log: logr.FromSlogHandler(serve.NewLog(r.Log, 0).Handler()),
		})
	})
	return nil
}

// StopManager ends the manager and leaves the token server alone.
func (r *Running) StopManager() error {
	if r.stopManager == nil {
		return nil
	}
	stop := r.stopManager
	r.stopManager = nil
	return stop()
}

// StartTokenServer starts the token server, at first or after StopTokenServer, and waits until it
// is ready.
func (r *Running) StartTokenServer(ctx context.Context) error {
	config, err := r.ControlPlane.ServiceAccountConfig(ctx, SystemNamespace, TokenServerAccount)
	if err != nil {
		return err
	}
	if r.options.TokenServerREST != nil {
		r.options.TokenServerREST(config)
	}
	r.Ops = ""
	listening := make(chan string, 1)
	var login tokenserver.LoginPort
	if r.options.LoginListen != "" {
		login = tokenserver.LoginPort{URL: r.LoginURL, Listen: r.options.LoginListen, Account: oauth2.ObjectName{Namespace: LoginNamespace, Name: LoginAccount}}
	}
	r.stopServer = background(ctx, func(ctx context.Context) error {
		return tokenserver.Run(ctx, tokenserver.Options{
			Issuer: r.Issuer, REST: config, RegistryNamespace: RegistryNamespace,
			Listen: "localhost:" + r.port, OpsListen: "127.0.0.1:0",
			CertFile: r.certificate.CertFile, KeyFile: r.certificate.KeyFile, RequireHTTPS: true, Log: r.Log,
			UsageInterval: r.options.UsageInterval, Login: login,
			Listening: func(_, ops string) { listening <- ops },
		})
	})
	return Wait(ctx, "the token server is ready", func() (bool, error) {
		select {
		case address := <-listening:
			r.Ops = "http://" + address
		default:
		}
		return r.Ops != "" && Ready(ctx, r.Ops), nil
	})
}

// StopTokenServer ends the token server and leaves the manager alone.
func (r *Running) StopTokenServer() error {
	if r.stopServer == nil {
		return nil
	}
	stop := r.stopServer
	r.stopServer = nil
	return stop()
}

// Stop ends both.
func (r *Running) Stop() error {
	err := errors.Join(r.StopManager(), r.StopTokenServer())
	if r.HTTP != nil {
		r.HTTP.CloseIdleConnections()
	}
	return errors.Join(err, os.RemoveAll(r.dir))
}

// Ready asks the ops port of a token server whether it is ready.
func Ready(ctx context.Context, ops string) bool {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, ops+"/readyz", http.NoBody)
	if err != nil {
		return false
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return false
	}
	_ = response.Body.Close()
	return response.StatusCode == http.StatusOK
}

// background runs something until it is stopped, and returns what stops it. The context of the
// starter does not end it, so that a test's cleanup can end things in order.
func background(ctx context.Context, run func(context.Context) error) (stop func() error) {
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	done := make(chan error, 1)
	go func() { done <- run(ctx) }()
	return func() error {
		cancel()
		return <-done
	}
}

func trusting(caFile string) (*http.Client, error) {
	ca, err := os.ReadFile(caFile)
	if err != nil {
		return nil, fmt.Errorf("read the token server's CA: %w", err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(ca) {
		return nil, errors.New("read the token server's CA: it holds no certificate")
	}
	return &http.Client{
		Timeout:   3 * time.Minute, // no test is about how long an answer takes
		Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}, ForceAttemptHTTP2: true},
	}, nil
}

// Log keeps what is logged, for tests that look for what must or must not be in it.
type Log struct {
	mu      sync.Mutex
	content bytes.Buffer
}

var _ io.Writer = (*Log)(nil)

// Write implements io.Writer.
func (l *Log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.content.Write(p)
}

// String is all that was logged.
func (l *Log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.content.String()
}
