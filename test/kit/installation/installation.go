// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

// Package installation does to an embedded control plane what the installation does to a cluster:
// it applies config/default and hands the token server its certificate, as a kubelet that mounts a
// Secret does. make run and the end-to-end tests share it.
package installation

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/test/kit/controlplane"
)

// The names of the default installation.
const (
	SystemNamespace    = "hallpass-system"
	RegistryNamespace  = "hallpass-registry"
	ManagerAccount     = "hallpass-manager"
	TokenServerAccount = "hallpass-tokenserver"
	LoginNamespace     = "hallpass-login"
	LoginAccount       = "hallpass-login"
	// ProtectedLabel is the label that grants and policies may select namespaces by, beside the
	// one of their names.
	ProtectedLabel  = "example.com/team"
	servingSecret   = "hallpass-tokenserver-tls"
	bundleConfigMap = "hallpass-ca"
)

const (
	pollInterval = 50 * time.Millisecond
	waitLimit    = 5 * time.Minute
)

// Apply applies a kustomization below the root of the repository, such as config/default, as an
// administrator would.
func Apply(ctx context.Context, cp *controlplane.ControlPlane, root, kustomization string) error {
	return Kubectl(ctx, cp, "apply", "--server-side", "--force-conflicts", "-k", filepath.Join(root, kustomization))
}

const defaultKustomization = "config/default"

// Install applies config/default and waits until its kinds can be used.
func Install(ctx context.Context, cp *controlplane.ControlPlane, root string) error {
	return installFrom(ctx, cp, root, defaultKustomization)
}

func installFrom(ctx context.Context, cp *controlplane.ControlPlane, root, kustomization string) error {
	if err := Apply(ctx, cp, root, kustomization); err != nil {
		return err
	}
	return Kubectl(ctx, cp, "wait", "--for=condition=Established", "--timeout=3m", "crd", "--all")
}

// Kubectl runs kubectl as an administrator. Its output is in the error.
func Kubectl(ctx context.Context, cp *controlplane.ControlPlane, args ...string) error {
	command := exec.CommandContext(ctx, cp.Kubectl(), args...)
	command.Env = append(os.Environ(), "KUBECONFIG="+cp.Kubeconfig())
	if output, err := command.CombinedOutput(); err != nil {
		return fmt.Errorf("kubectl %v: %w: %s", args, err, output)
	}
	return nil
}

// Connect makes a client that knows the kinds of Kubernetes and ours.
func Connect(config *rest.Config) (client.WithWatch, error) {
	scheme := runtime.NewScheme()
	if err := errors.Join(clientgoscheme.AddToScheme(scheme), v1alpha1.AddToScheme(scheme)); err != nil {
		return nil, fmt.Errorf("register kinds: %w", err)
	}
	connected, err := client.NewWithWatch(config, client.Options{Scheme: scheme})
	if err != nil {
		return nil, fmt.Errorf("connect to the cluster: %w", err)
	}
	return connected, nil
}

// Certificate is the token server's certificate in files.
type Certificate struct{ CertFile, KeyFile, CAFile string }

// WriteCertificate waits for the certificate that the manager makes and writes it into a directory.
func WriteCertificate(ctx context.Context, client kubernetes.Interface, dir string) (Certificate, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return Certificate{}, fmt.Errorf("make a directory for the certificate: %w", err)
	}
	files := Certificate{filepath.Join(dir, "tls.crt"), filepath.Join(dir, "tls.key"), filepath.Join(dir, "ca.crt")}
	err := Wait(ctx, "the manager makes a serving certificate", func() (bool, error) {
		secret, err := client.CoreV1().Secrets(SystemNamespace).Get(ctx, servingSecret, metav1.GetOptions{})
		if err != nil {
			return false, ignoreNotFound(err)
		}
		bundle, err := client.CoreV1().ConfigMaps(SystemNamespace).Get(ctx, bundleConfigMap, metav1.GetOptions{})
		if err != nil {
			return false, ignoreNotFound(err)
		}
		return true, errors.Join(
			os.WriteFile(files.CertFile, secret.Data[corev1.TLSCertKey], 0o600),
			os.WriteFile(files.KeyFile, secret.Data[corev1.TLSPrivateKeyKey], 0o600),
			os.WriteFile(files.CAFile, []byte(bundle.Data["ca.crt"]), 0o600),
		)
	})
	return files, err
}

// Wait asks until the answer is yes, for five minutes at most: a quiet watch gets an event about
// once a minute.
func Wait(ctx context.Context, what string, done func() (bool, error)) error {
	ctx, cancel := context.WithTimeout(ctx, waitLimit)
	defer cancel()
	for {
		yes, err := done()
		if err != nil {
			return fmt.Errorf("wait until %s: %w", what, err)
		}
		if yes {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait until %s: %w", what, ctx.Err())
		case <-time.After(pollInterval):
		}
	}
}

func ignoreNotFound(err error) error {
	if apierrors.IsNotFound(err) {
		return nil
	}
	return err
}
