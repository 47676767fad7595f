// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package availability_test

import (
	"context"
	"crypto/x509"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hallpass-dev/hallpass/internal/controller/servingcert"
	"github.com/hallpass-dev/hallpass/test/kit/installation"
)

// shortLives are certificates that are replaced again and again, and leave a slow machine the time
// to read each.
var shortLives = servingcert.Lives{Authority: 40 * time.Second, Lead: 10 * time.Second, Serving: 25 * time.Second}

// mounted is the directory in which pods find the serving certificate, and what callers have of the
// authorities.
type mounted struct {
	dir string

	mu           sync.Mutex
	pool         *x509.CertPool
	bundle, cert string
	bundles      map[string]bool
	certificates map[string]bool
	generation   int
}

// rotateCertificates has the manager replace certificates and their authority all the time, and
// does what kubelets do: it brings what the manager writes into a directory and to callers, a
// moment late. After the test certificates live as long as usual.
func rotateCertificates(t *testing.T) *mounted {
	t.Helper()
	m := &mounted{dir: t.TempDir(), bundles: map[string]bool{}, certificates: map[string]bool{}}
	restartManager(t, shortLives)
	// The authority of before lives for years. Without its Secret there is a new one, which
	// callers get in time.
	must(t, cluster.Delete(t.Context(), &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: installation.SystemNamespace, Name: servingcert.AuthoritySecretName}}))
	must(t, m.sync(t.Context()))
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	var running sync.WaitGroup
	running.Go(func() {
		for ctx.Err() == nil {
			if err := m.sync(ctx); err != nil && ctx.Err() == nil {
				t.Errorf("bring the certificate to pods and callers: %v", err)
			}
			pause(ctx, 300*time.Millisecond)
		}
	})
	t.Cleanup(func() {
		cancel()
		running.Wait()
		restartManager(t, servingcert.Lives{})
		for _, name := range []string{servingcert.AuthoritySecretName, servingcert.ServingSecretName} {
			must(t, cluster.Delete(unbounded(t), &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: installation.SystemNamespace, Name: name}}))
		}
	})
	return m
}

func unbounded(t *testing.T) context.Context {
	t.Helper()
	return context.WithoutCancel(t.Context())
}

func restartManager(t *testing.T, lives servingcert.Lives) {
	t.Helper()
	must(t, hallpass.StopManager())
	hallpass.CertificateLives = lives
	must(t, hallpass.StartManager(unbounded(t)))
}

// sync takes over what the manager has written.
func (m *mounted) sync(ctx context.Context) error {
	var secret corev1.Secret
	var bundle corev1.ConfigMap
	if err := errors.Join(
		cluster.Get(ctx, client.ObjectKey{Namespace: installation.SystemNamespace, Name: servingcert.ServingSecretName}, &secret),
		cluster.Get(ctx, client.ObjectKey{Namespace: installation.SystemNamespace, Name: servingcert.BundleConfigMapName}, &bundle),
	); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if now := bundle.Data[servingcert.BundleKey]; now != m.bundle {
		m.bundle, m.pool = now, x509.NewCertPool()
		m.pool.AppendCertsFromPEM([]byte(now))
		m.bundles[now] = true
	}
	if now := string(secret.Data[corev1.TLSCertKey]); now != m.cert {
		m.cert = now
		m.certificates[now] = true
		return m.mount(secret.Data)
	}
	return nil
}

// mount puts files in place as a kubelet does: a new directory, and one step by a symbolic link.
func (m *mounted) mount(files map[string][]byte) error {
	m.generation++
	data := "..data-" + strconv.Itoa(m.generation)
	err := os.Mkdir(filepath.Join(m.dir, data), 0o700)
	for _, name := range []string{corev1.TLSCertKey, corev1.TLSPrivateKeyKey} {
		err = errors.Join(err, os.WriteFile(filepath.Join(m.dir, data, name), files[name], 0o600))
		if m.generation == 1 {
			err = errors.Join(err, os.Symlink(filepath.Join("..data", name), filepath.Join(m.dir, name)))
		}
	}
	return errors.Join(err, os.Symlink(data, filepath.Join(m.dir, "..next")), os.Rename(filepath.Join(m.dir, "..next"), filepath.Join(m.dir, "..data")))
}

// roots is what callers trust now.
func (m *mounted) roots() *x509.CertPool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.pool
}

// authorities is how many sets of authorities callers got, and served how many certificates there
// were.
func (m *mounted) authorities() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.bundles)
}

func (m *mounted) served() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.certificates)
}
