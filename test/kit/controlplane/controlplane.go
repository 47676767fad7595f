// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

// Package controlplane starts a real Kubernetes control plane without nodes on loopback: etcd,
// kube-apiserver with RBAC, service account tokens and an audit log, and the controllers for
// garbage collection, namespaces, service accounts and aggregated roles. make run, the integration
// tests and the end-to-end tests all use it.
//
// The programs are looked for in KUBEBUILDER_ASSETS, in the cache of an earlier build, and with
// setup-envtest, and are else built once from hack/controlplane. It runs on Linux and macOS.
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
	"slices"
	"strconv"
	"strings"
	"time"

	"k8s.io/client-go/rest"
)

const (
	startTimeout = 5 * time.Minute
	pollInterval = 50 * time.Millisecond
	loopback     = "127.0.0.1"
)

// Options configure a control plane. The zero Options are right for tests.
type Options struct {
	// Dir holds data, logs and keys, and is kept. Empty means a temporary directory, which Stop
	// removes.
	Dir string
	// Progress is called for steps that take long; nil means standard error.
	Progress io.Writer
	// APIServerFlags are added to kube-apiserver's command line.
	APIServerFlags []string
}

// ControlPlane is a running control plane.
type ControlPlane struct {
	dir       string
	temporary bool
	lock      io.Closer
	assets    Assets
	pki       pki
	port      port
	flags     []string
	accounts  *accounts
	// formerKeys verify the service accounts' tokens from before RotateAccountKey.
	formerKeys []string

	etcd, apiServer, controllers *Process
}

// Start starts a control plane and returns when it is ready. Whatever was started is ended with the
// calling process, also when that is killed.
func Start(ctx context.Context, options Options) (*ControlPlane, error) {
	if options.Progress == nil {
		options.Progress = os.Stderr
	}
	assets, err := FindAssets(ctx, options.Progress)
	if err != nil {
		return nil, err
	}
	cp := &ControlPlane{assets: assets, flags: options.APIServerFlags, accounts: newAccounts()}
	if err := cp.makeDir(options.Dir); err != nil {
		return nil, err
	}
	if err := cp.start(ctx); err != nil {
		return nil, errors.Join(err, cp.Stop())
	}
	return cp, nil
}

// makeDir makes the directory, whose path is absolute because the programs work in it.
func (cp *ControlPlane) makeDir(dir string) (err error) {
	if cp.temporary = dir == ""; cp.temporary {
		cp.dir, err = os.MkdirTemp("", "hallpass-controlplane-")
	} else if cp.dir, err = filepath.Abs(dir); err == nil {
		err = os.MkdirAll(cp.dir, 0o700)
	}
	if err != nil {
		return fmt.Errorf("make the control plane's directory: %w", err)
	}
	return nil
}

func (cp *ControlPlane) start(ctx context.Context) error {
	var err error
	if cp.lock, err = lockFile(cp.path("lock")); err != nil {
		return fmt.Errorf("another control plane runs in %s: %w", cp.dir, err)
	}
	if cp.port, err = reservePort(); err != nil {
		return err
	}
	if err := cp.startEtcd(); err != nil { // it gets ready while the keys are made
		return err
	}
	if cp.pki, err = writePKI(cp.dir, cp.URL()); err != nil {
		return err
	}
	if err := os.WriteFile(cp.path("audit-policy.yaml"), []byte(auditPolicy), 0o600); err != nil {
		return fmt.Errorf("write audit policy: %w", err)
	}
	if err := cp.StartAPIServer(ctx); err != nil {
		return err
	}
	return cp.startControllers()
}

func (cp *ControlPlane) startControllers() (err error) {
	cp.controllers, err = cp.run("controllers", cp.assets.Controllers, "--kubeconfig="+cp.Kubeconfig())
	return err
}

// URL is the address of the API server, which is also the issuer of service account tokens unless
// a flag names another one.
func (cp *ControlPlane) URL() string {
	return "https://" + net.JoinHostPort(loopback, strconv.Itoa(cp.port.number))
}

// Kubeconfig is the path of an administrator's kubeconfig.
func (cp *ControlPlane) Kubeconfig() string { return cp.path("admin.kubeconfig") }

// Kubectl is the path of kubectl.
func (cp *ControlPlane) Kubectl() string { return cp.assets.Kubectl }

// AuditLog is the path of the API server's audit log, one JSON event a line; AuditEvents reads it.
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
	cp.accounts.stop()
	err := errors.Join(cp.controllers.Stop(), cp.StopAPIServer(), cp.etcd.Stop(), cp.port.release())
	if cp.lock != nil {
		err = errors.Join(err, cp.lock.Close())
	}
	if cp.temporary {
		err = errors.Join(err, os.RemoveAll(cp.dir))
	}
	return err
}

// etcd is reached by a socket in its directory, which is the caller's alone: on a TCP port every
// user of the machine could read the Secrets. The path is relative, because that of a socket may
// have no more than about 100 bytes.
const (
	etcdSocket = "unix://etcd.sock"
	peerSocket = "unix://peer.sock"
)

// startEtcd starts etcd on the data that is there. It trades durability for speed, which only data
// that may be lost allows.
func (cp *ControlPlane) startEtcd() (err error) {
	cp.etcd, err = cp.run("etcd", cp.assets.Etcd,
		"--name=embedded", "--data-dir="+cp.path("etcd"), "--log-level=warn", "--unsafe-no-fsync",
		"--listen-client-urls="+etcdSocket, "--advertise-client-urls="+etcdSocket,
		"--listen-peer-urls="+peerSocket, "--initial-advertise-peer-urls="+peerSocket, "--initial-cluster=embedded="+peerSocket)
	return err
}

// EtcdSocket is the path of the socket on which etcd answers.
func (cp *ControlPlane) EtcdSocket() string {
	return cp.path(strings.TrimPrefix(etcdSocket, "unix://"))
}

// StartEtcd starts etcd again after StopEtcd and waits until the API server is ready with it.
func (cp *ControlPlane) StartEtcd(ctx context.Context) error {
	if err := cp.startEtcd(); err != nil {
		return err
	}
	return cp.waitReady(ctx)
}

// StopEtcd ends etcd at once, as a crash does, and leaves the API server running without it, so
// that it answers with errors. What was written is kept: the system has it, though not on disk.
func (cp *ControlPlane) StopEtcd() error { return cp.etcd.Kill() }

// StartAPIServer starts the API server, on the port that it had before, and waits until it is
// ready.
func (cp *ControlPlane) StartAPIServer(ctx context.Context) (err error) {
	// Of several issuers the first one signs, which a caller's flags may name.
	flags := append(slices.Clone(cp.flags), "--service-account-issuer="+cp.URL())
	for _, key := range cp.formerKeys {
		flags = append(flags, "--service-account-key-file="+key)
	}
	cp.apiServer, err = cp.run("kube-apiserver", cp.assets.APIServer, append([]string{
		"--etcd-servers=" + etcdSocket,
		"--bind-address=" + loopback, "--secure-port=" + strconv.Itoa(cp.port.number), "--advertise-address=" + loopback,
		"--endpoint-reconciler-type=none", "--service-cluster-ip-range=10.0.0.0/24",
		"--cert-dir=" + cp.path("run"), "--tls-cert-file=" + cp.path(fileServerCert), "--tls-private-key-file=" + cp.path(fileServerKey),
		"--client-ca-file=" + cp.path(fileCA), "--allow-privileged",
		// as installers of clusters set them
		"--authorization-mode=Node,RBAC", "--enable-admission-plugins=NodeRestriction",
		"--service-account-key-file=" + cp.path(fileAccountKey), "--service-account-signing-key-file=" + cp.path(fileAccountKey),
		// One file, however long: what reads it does not look for older ones.
		"--audit-policy-file=" + cp.path("audit-policy.yaml"), "--audit-log-path=" + cp.AuditLog(), "--audit-log-maxsize=100000",
	}, flags...)...)
	if err != nil {
		return err
	}
	return cp.waitReady(ctx)
}

// StopAPIServer ends the API server at once, as a crash does, and leaves everything else running.
// Asked to end, it would wait for those who watch.
func (cp *ControlPlane) StopAPIServer() error { return cp.apiServer.Kill() }

// PauseAPIServer makes the API server answer nothing any more, as a machine that hangs does, until
// ResumeAPIServer.
func (cp *ControlPlane) PauseAPIServer() error { return cp.apiServer.Pause() }

// ResumeAPIServer continues an API server that was paused.
func (cp *ControlPlane) ResumeAPIServer() error { return cp.apiServer.Resume() }

// run starts one of the programs in the directory, where it also logs.
func (cp *ControlPlane) run(name, program string, args ...string) (*Process, error) {
	return startProcessIn(cp.dir, name, cp.path(name+".log"), nil, append([]string{program}, args...)...)
}

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
