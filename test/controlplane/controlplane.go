// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

// Package controlplane starts a real Kubernetes control plane without nodes on loopback: etcd, kube-apiserver with RBAC,
// service account tokens and an audit log, and the controllers for garbage collection, namespaces, service accounts and
// aggregated roles. make run, the integration tests and the end-to-end tests all use it.
//
// The programs are looked for in KUBEBUILDER_ASSETS, in the cache of an earlier build, and with setup-envtest, and are
// else built once from hack/controlplane.
package controlplane

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"k8s.io/client-go/rest"
)

const (
	startTimeout = 90 * time.Second
	pollInterval = 50 * time.Millisecond
	loopback     = "127.0.0.1"
)

// Options say how to start a control plane. The zero Options are right for tests.
type Options struct {
	// Dir holds data and logs. Empty means a temporary directory, which Stop removes.
	Dir string
	// Progress is told about steps that take long; nil means standard error.
	Progress io.Writer
	// APIServerFlags are added to kube-apiserver's command line.
	APIServerFlags []string
}

// ControlPlane is a running control plane.
type ControlPlane struct {
	dir       string
	temporary bool
	assets    Assets
	pki       pki
	ports     ports
	flags     []string

	etcd, apiServer, controllers *Process
}

type ports struct{ etcdClient, etcdPeer, api int }

// Start starts a control plane and returns when it is ready. Whatever was started is ended with the calling process, also
// when that is killed.
func Start(ctx context.Context, options Options) (*ControlPlane, error) {
	if options.Progress == nil {
		options.Progress = os.Stderr
	}
	assets, err := FindAssets(ctx, options.Progress)
	if err != nil {
		return nil, err
	}
	cp := &ControlPlane{dir: options.Dir, assets: assets, flags: options.APIServerFlags}
	if cp.dir == "" {
		cp.temporary = true
		if cp.dir, err = os.MkdirTemp("", "hallpass-controlplane-"); err != nil {
			return nil, fmt.Errorf("make a directory for the control plane: %w", err)
		}
	}
	if err := cp.start(ctx); err != nil {
		return nil, errors.Join(err, cp.Stop())
	}
	return cp, nil
}

func (cp *ControlPlane) start(ctx context.Context) error {
	if err := os.MkdirAll(cp.dir, 0o700); err != nil {
		return fmt.Errorf("make the control plane's directory: %w", err)
	}
	var err error
	if cp.ports, err = freePorts(); err != nil {
		return err
	}
	if cp.pki, err = writePKI(cp.dir, cp.URL()); err != nil {
		return err
	}
	if err := os.WriteFile(cp.path("audit-policy.yaml"), []byte(auditPolicy), 0o600); err != nil {
		return fmt.Errorf("write audit policy: %w", err)
	}
	if err := cp.StartEtcd(); err != nil {
		return err
	}
	if err := cp.StartAPIServer(ctx); err != nil {
		return err
	}
	cp.controllers, err = StartProcess("controllers", cp.path("controllers.log"), nil,
		append(cp.assets.Controllers, "--kubeconfig="+cp.Kubeconfig())...)
	return err
}

// URL is the address of the API server, which is also the issuer of service account tokens.
func (cp *ControlPlane) URL() string { return "https://" + net.JoinHostPort(loopback, strconv.Itoa(cp.ports.api)) }

// Kubeconfig is the path of an administrator's kubeconfig.
func (cp *ControlPlane) Kubeconfig() string { return cp.path("admin.kubeconfig") }

// Kubectl is the command line that runs kubectl at the version of the API server.
func (cp *ControlPlane) Kubectl() string { return cp.assets.Kubectl }

// AuditLog is the path of the API server's audit log: one JSON event a line, metadata only.
func (cp *ControlPlane) AuditLog() string { return cp.path("audit.log") }

// AdminConfig connects an administrator, without a client-side rate limit.
func (cp *ControlPlane) AdminConfig() *rest.Config {
	return &rest.Config{
		Host: cp.URL(), QPS: -1,
		TLSClientConfig: rest.TLSClientConfig{CAData: cp.pki.ca, CertData: cp.pki.adminCert, KeyData: cp.pki.adminKey},
	}
}

// Stop ends what runs and removes the data if its directory was made by Start.
func (cp *ControlPlane) Stop() error {
	err := errors.Join(cp.controllers.Stop(), cp.StopAPIServer(), cp.etcd.Stop())
	if cp.temporary {
		err = errors.Join(err, os.RemoveAll(cp.dir))
	}
	return err
}

// StartEtcd starts etcd on the data that is there. It trades durability for speed, which only data that may be lost allows.
func (cp *ControlPlane) StartEtcd() error {
	client := fmt.Sprintf("http://%s:%d", loopback, cp.ports.etcdClient)
	peer := fmt.Sprintf("http://%s:%d", loopback, cp.ports.etcdPeer)
	process, err := StartProcess("etcd", cp.path("etcd.log"), nil, append(cp.assets.Etcd,
		"--data-dir="+cp.path("etcd"), "--log-level=warn", "--unsafe-no-fsync",
		"--listen-client-urls="+client, "--advertise-client-urls="+client,
		"--listen-peer-urls="+peer, "--initial-advertise-peer-urls="+peer, "--initial-cluster=default="+peer)...)
	cp.etcd = process
	return err
}

// StartAPIServer starts the API server, on the port that it had before, and waits until it is ready.
func (cp *ControlPlane) StartAPIServer(ctx context.Context) error {
	process, err := StartProcess("kube-apiserver", cp.path("kube-apiserver.log"), nil, append(append(cp.assets.APIServer,
		fmt.Sprintf("--etcd-servers=http://%s:%d", loopback, cp.ports.etcdClient),
		"--bind-address="+loopback, fmt.Sprintf("--secure-port=%d", cp.ports.api), "--advertise-address="+loopback,
		"--endpoint-reconciler-type=none", "--service-cluster-ip-range=10.0.0.0/24",
		"--cert-dir="+cp.path("run"), "--tls-cert-file="+cp.path(fileServerCert), "--tls-private-key-file="+cp.path(fileServerKey),
		"--client-ca-file="+cp.path(fileCA), "--authorization-mode=RBAC", "--allow-privileged",
		"--service-account-issuer="+cp.URL(), "--service-account-key-file="+cp.path(fileAccountKey),
		"--service-account-signing-key-file="+cp.path(fileAccountKey),
		"--audit-policy-file="+cp.path("audit-policy.yaml"), "--audit-log-path="+cp.AuditLog(),
	), cp.flags...)...)
	cp.apiServer = process
	if err != nil {
		return err
	}
	return cp.waitReady(ctx)
}

// StopAPIServer ends the API server and leaves everything else running, as when it is away.
func (cp *ControlPlane) StopAPIServer() error { return cp.apiServer.Stop() }

func (cp *ControlPlane) waitReady(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	client, err := rest.HTTPClientFor(cp.AdminConfig())
	if err != nil {
		return fmt.Errorf("connect to kube-apiserver: %w", err)
	}
	defer client.CloseIdleConnections()
	for {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, cp.URL()+"/readyz", http.NoBody)
		if err != nil {
			return fmt.Errorf("ask kube-apiserver whether it is ready: %w", err)
		}
		if response, err := client.Do(request); err == nil {
			_ = response.Body.Close()
			if response.StatusCode == http.StatusOK {
				return nil
			}
		}
		select {
		case <-cp.etcd.Done():
			return cp.etcd.Failure()
		case <-cp.apiServer.Done():
			return cp.apiServer.Failure()
		case <-ctx.Done():
			return fmt.Errorf("kube-apiserver was not ready in time; its log ends: %s", cp.apiServer.logTail())
		case <-time.After(pollInterval):
		}
	}
}

func (cp *ControlPlane) path(name string) string { return filepath.Join(cp.dir, name) }

// freePorts picks ports that nobody listens on now, all at once, so that they differ.
func freePorts() (ports, error) {
	var numbers [3]int
	for i := range numbers {
		listener, err := net.Listen("tcp", net.JoinHostPort(loopback, "0"))
		if err != nil {
			return ports{}, fmt.Errorf("find a free port: %w", err)
		}
		defer func() { _ = listener.Close() }()
		address, ok := listener.Addr().(*net.TCPAddr)
		if !ok {
			return ports{}, fmt.Errorf("find a free port: %s is not a TCP address", listener.Addr())
		}
		numbers[i] = address.Port
	}
	return ports{etcdClient: numbers[0], etcdPeer: numbers[1], api: numbers[2]}, nil
}

// auditPolicy keeps who did what to which object, and no bodies: those of Secrets must not be in a file.
const auditPolicy = `apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
- level: None
  nonResourceURLs: ["/healthz*", "/livez*", "/readyz*", "/openapi*", "/api", "/api/*", "/apis", "/apis/*"]
- level: Metadata
`
