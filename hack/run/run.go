// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/hallpass-dev/hallpass/test/kit/controlplane"
	"github.com/hallpass-dev/hallpass/test/kit/installation"
)

// The sample client that gets a token, and the one that asks about it.
const (
	sampleNamespace = "shop"
	sampleClient    = "reporting"
	sampleAPI       = "orders-api"
)

const stepTimeout = 10 * time.Minute

// stage is what runs, and where.
type stage struct {
	settings
	root, dir string // the repository, and the directory for all that a run leaves
	cp        *controlplane.ControlPlane
	client    kubernetes.Interface

	issuer      string
	ops         string // address of the token server's ops port
	metrics     string // address of the manager's metrics
	certificate installation.Certificate

	manager, tokenServer *controlplane.Process
}

func run(ctx context.Context, s settings) (err error) {
	root, err := os.Getwd()
	if err != nil {
		return fmt.Errorf("find the repository: %w", err)
	}
	st := &stage{settings: s, root: root, dir: filepath.Join(root, s.dir)}
	lock, err := st.lock()
	if err != nil {
		return err
	}
	defer func() { _ = lock.Close() }()
	if err := st.clean(); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, st.stop()) }()
	for _, step := range []func(context.Context) error{
		st.startControlPlane, st.install, st.startManager, st.startTokenServer, st.applySamples, st.walk,
	} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	select {
	case <-ctx.Done():
		say("\nEnding everything.")
		return nil
	case <-st.manager.Done():
		return st.manager.Failure()
	case <-st.tokenServer.Done():
		return st.tokenServer.Failure()
	}
}

// lockName is the file that a run locks for as long as it is at work.
const lockName = "lock"

// lock makes the directory its own: a second run would delete what the first one works with.
func (s *stage) lock() (io.Closer, error) {
	if err := os.MkdirAll(s.dir, 0o700); err != nil {
		return nil, fmt.Errorf("make %s: %w", s.settings.dir, err)
	}
	file, err := os.OpenFile(filepath.Join(s.dir, lockName), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock %s: %w", s.settings.dir, err)
	}
	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		_ = file.Close()
		return nil, fmt.Errorf("another make run is at work in %s. End it with Ctrl-C in its terminal, "+
			"or start this one in a directory of its own: make run ARGS=-dir=%s2", s.dir, s.settings.dir)
	}
	return file, nil
}

// clean removes what an earlier run left, its env file first: a script may be waiting for a new
// one.
func (s *stage) clean() error {
	if err := os.RemoveAll(filepath.Join(s.dir, "env")); err != nil {
		return fmt.Errorf("remove the last run's env file: %w", err)
	}
	if s.keep {
		return nil
	}
	left, err := os.ReadDir(s.dir)
	if err != nil {
		return fmt.Errorf("read what the last run left: %w", err)
	}
	for _, entry := range left {
		if entry.Name() == lockName {
			continue
		}
		if err := os.RemoveAll(filepath.Join(s.dir, entry.Name())); err != nil {
			return fmt.Errorf("remove the last run: %w", err)
		}
	}
	return nil
}

// stop ends what runs in the order that lets each finish, and removes the cluster's data unless it
// is to be kept.
func (s *stage) stop() error {
	err := errors.Join(os.RemoveAll(filepath.Join(s.dir, "env")), s.tokenServer.Stop(), s.manager.Stop())
	if s.cp != nil {
		err = errors.Join(err, s.cp.Stop())
	}
	if !s.keep {
		err = errors.Join(err, os.RemoveAll(filepath.Join(s.dir, "controlplane")))
	}
	return err
}

func (s *stage) startControlPlane(ctx context.Context) error {
	title(1, "Start a Kubernetes control plane: etcd, kube-apiserver, controllers")
	cp, err := controlplane.Start(ctx, controlplane.Options{Dir: filepath.Join(s.dir, "controlplane")})
	if err != nil {
		return err
	}
	s.cp = cp
	if s.client, err = kubernetes.NewForConfig(cp.AdminConfig()); err != nil {
		return fmt.Errorf("connect to the control plane: %w", err)
	}
	say("It listens on %s. To use it yourself:", cp.URL())
	show("export KUBECONFIG=%s", cp.Kubeconfig())
	return nil
}

func (s *stage) install(ctx context.Context) error {
	title(2, "Install Hallpass: its kinds, its namespaces, and the rights of its two programs")
	show("kubectl apply --server-side -k config/default")
	return installation.Install(ctx, s.cp, s.root)
}

func (s *stage) startManager(ctx context.Context) error {
	title(3, "Start the manager with the rights of its own service account")
	if err := s.build(ctx); err != nil {
		return err
	}
	if s.port == 0 {
		port, err := freePort()
		if err != nil {
			return err
		}
		s.port = port
	}
	s.issuer = "https://localhost:" + strconv.Itoa(s.port)
	metricsPort, err := freePort()
	if err != nil {
		return err
	}
	address := "127.0.0.1:" + strconv.Itoa(metricsPort)
	s.metrics = "http://" + address
	kubeconfig, err := s.cp.ServiceAccountKubeconfig(ctx, installation.SystemNamespace, installation.ManagerAccount)
	if err != nil {
		return err
	}
	s.manager, err = controlplane.StartProcess("manager", filepath.Join(s.dir, "manager.log"), nil, append([]string{
		filepath.Join(s.root, "bin", "manager"), "--kubeconfig=" + kubeconfig, "--issuer=" + s.issuer,
		"--serving-dns-names=127.0.0.1", "--metrics-bind-address=" + address, "--health-probe-bind-address=0",
	}, s.managerArgs...)...)
	if err != nil {
		return err
	}
	say("It makes the signing key and a certificate for %s. Its log: %s/manager.log", s.issuer, s.settings.dir)
	return s.whileAlive(ctx, s.manager, func(ctx context.Context) error {
		s.certificate, err = installation.WriteCertificate(ctx, s.client, filepath.Join(s.dir, "tls"))
		return err
	})
}

func (s *stage) startTokenServer(ctx context.Context) error {
	title(4, "Start the token server with the rights of its own service account")
	opsPort, err := freePort()
	if err != nil {
		return err
	}
	s.ops = "http://127.0.0.1:" + strconv.Itoa(opsPort)
	kubeconfig, err := s.cp.ServiceAccountKubeconfig(ctx, installation.SystemNamespace, installation.TokenServerAccount)
	if err != nil {
		return err
	}
	s.tokenServer, err = controlplane.StartProcess("token server", filepath.Join(s.dir, "tokenserver.log"), nil, append([]string{
		filepath.Join(s.root, "bin", "tokenserver"), "--kubeconfig=" + kubeconfig, "--issuer=" + s.issuer,
		"--listen=127.0.0.1:" + strconv.Itoa(s.port), "--ops-listen=127.0.0.1:" + strconv.Itoa(opsPort),
		"--tls-cert-file=" + s.certificate.CertFile, "--tls-key-file=" + s.certificate.KeyFile, "--shutdown-lag=0s",
	}, s.tokenServerArgs...)...)
	if err != nil {
		return err
	}
	say("It serves %s. Its log: %s/tokenserver.log", s.issuer, s.settings.dir)
	return s.whileAlive(ctx, s.tokenServer, func(ctx context.Context) error {
		return installation.Wait(ctx, "the token server is ready", func() (bool, error) { return installation.Ready(ctx, s.ops), nil })
	})
}

func (s *stage) applySamples(ctx context.Context) error {
	title(5, "Apply two OAuth2Clients: one that calls, and one that is called")
	show("kubectl apply -k config/samples")
	if err := installation.Apply(ctx, s.cp, s.root, "config/samples"); err != nil {
		return err
	}
	show("kubectl wait --for=condition=Ready hpc --all -n %s", sampleNamespace)
	return installation.Kubectl(ctx, s.cp, "wait", "--for=condition=Ready", "--timeout=5m", "hpc", "--all", "-n", sampleNamespace)
}

// build compiles both binaries.
func (s *stage) build(ctx context.Context) error {
	say("Compiling bin/manager and bin/tokenserver; the first time takes a minute or two.")
	command := exec.CommandContext(
		ctx, "hack/progress.sh", "manager and tokenserver", "go", "build", "-v", "-trimpath", "-o", "bin/", "./cmd/manager", "./cmd/tokenserver")
	command.Dir, command.Stderr = s.root, os.Stderr
	command.Env = append(os.Environ(), "CGO_ENABLED=0")
	if err := command.Run(); err != nil {
		return fmt.Errorf("compile: %w", err)
	}
	return nil
}

// whileAlive does something that needs a process, and gives up when that ends.
func (s *stage) whileAlive(ctx context.Context, process *controlplane.Process, do func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, stepTimeout)
	defer cancel()
	result := make(chan error, 1)
	go func() { result <- do(ctx) }()
	select {
	case err := <-result:
		return err
	case <-process.Done():
		return process.Failure()
	}
}

// credentials reads the Secret of a sample client.
func (s *stage) credentials(ctx context.Context, name string) (*corev1.Secret, error) {
	secret, err := s.client.CoreV1().Secrets(sampleNamespace).Get(ctx, name, metav1.GetOptions{})
	if err != nil {
		return nil, fmt.Errorf("read the credentials of %s: %w", name, err)
	}
	return secret, nil
}

func freePort() (int, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, fmt.Errorf("find a free port: %w", err)
	}
	defer func() { _ = listener.Close() }()
	_, port, err := net.SplitHostPort(listener.Addr().String())
	if err != nil {
		return 0, fmt.Errorf("find a free port: %w", err)
	}
	return strconv.Atoi(port)
}

// steps is how many titles there are.
const steps = 7

func title(number int, text string) { fmt.Printf("\n==> %d of %d: %s\n", number, steps, text) }

func say(format string, args ...any) { fmt.Printf(format+"\n", args...) }

// show prints a command that repeats a step.
func show(format string, args ...any) { fmt.Printf("    $ "+format+"\n", args...) }
