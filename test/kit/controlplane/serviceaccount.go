// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package controlplane

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

// A token is replaced at half its life, as the kubelet does for pods, and a refusal is retried in
// good time.
const (
	accountTokenLife  = time.Hour
	accountTokenFresh = accountTokenLife / 2
	accountTokenRetry = 5 * time.Second
)

// accounts keeps a file with a good token for each service account that was asked for.
type accounts struct {
	mu   sync.Mutex
	kept map[string]bool // by path of the file

	ctx     context.Context //nolint:containedctx // the life of the control plane, which is no single call
	cancel  context.CancelFunc
	running sync.WaitGroup
}

func newAccounts() *accounts {
	ctx, cancel := context.WithCancel(context.Background())
	return &accounts{kept: map[string]bool{}, ctx: ctx, cancel: cancel}
}

func (a *accounts) stop() {
	a.cancel()
	a.running.Wait()
}

// ServiceAccountConfig connects with the rights of a service account and no others. The token comes
// from the TokenRequest API, as a pod's does, and is replaced in time until the control plane is
// stopped.
func (cp *ControlPlane) ServiceAccountConfig(ctx context.Context, namespace, name string) (*rest.Config, error) {
	file, err := cp.accountTokenFile(ctx, namespace, name)
	if err != nil {
		return nil, err
	}
	return &rest.Config{
		Host: cp.URL(), QPS: -1, BearerTokenFile: file,
		TLSClientConfig: rest.TLSClientConfig{CAData: cp.pki.ca},
	}, nil
}

// RotateAccountKey has the API server sign service accounts' tokens with a new key from its next
// start on. The key before still verifies.
func (cp *ControlPlane) RotateAccountKey() error {
	former := cp.path(fmt.Sprintf("former-%d-%s", len(cp.formerKeys)+1, fileAccountKey))
	if err := os.Rename(cp.path(fileAccountKey), former); err != nil {
		return fmt.Errorf("keep the service accounts' key: %w", err)
	}
	cp.formerKeys = append(cp.formerKeys, former)
	return writeAccountKey(cp.path(fileAccountKey))
}

// ServiceAccountKubeconfig writes a kubeconfig for ServiceAccountConfig and returns its path.
func (cp *ControlPlane) ServiceAccountKubeconfig(ctx context.Context, namespace, name string) (string, error) {
	file, err := cp.accountTokenFile(ctx, namespace, name)
	if err != nil {
		return "", err
	}
	path := cp.path(namespace + "." + name + ".kubeconfig")
	return path, writeKubeconfig(path, cp.URL(), cp.pki.ca, &clientcmdapi.AuthInfo{TokenFile: file})
}

// accountTokenFile writes a token into a file and sees to it that the file always has a good one.
func (cp *ControlPlane) accountTokenFile(ctx context.Context, namespace, name string) (string, error) {
	client, err := kubernetes.NewForConfig(cp.AdminConfig())
	if err != nil {
		return "", fmt.Errorf("connect as administrator: %w", err)
	}
	file := cp.path(namespace + "." + name + ".token")
	a := cp.accounts
	a.mu.Lock()
	defer a.mu.Unlock()
	write := func(ctx context.Context) error { return writeAccountToken(ctx, client, namespace, name, file) }
	// Always a new one: the account may have been deleted and made again, which ends the tokens
	// it had.
	if err := write(ctx); err != nil {
		return "", err
	}
	if !a.kept[file] {
		a.kept[file] = true
		a.running.Go(func() { keepFresh(a.ctx, accountTokenFresh, accountTokenRetry, write) })
	}
	return file, nil
}

// keepFresh renews again and again, sooner after a failure: the API server may be away for a while.
func keepFresh(ctx context.Context, interval, retry time.Duration, renew func(context.Context) error) {
	for wait := interval; ; {
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
		wait = interval
		if err := renew(ctx); err != nil {
			wait = retry
		}
	}
}

// writeAccountToken requests a token and puts it in place in one step, because it may just be read.
func writeAccountToken(ctx context.Context, client kubernetes.Interface, namespace, name, file string) error {
	request := &authenticationv1.TokenRequest{
		Spec: authenticationv1.TokenRequestSpec{ExpirationSeconds: new(int64(accountTokenLife / time.Second))},
	}
	answer, err := client.CoreV1().ServiceAccounts(namespace).CreateToken(ctx, name, request, metav1.CreateOptions{})
	if err != nil {
		return fmt.Errorf("request token of service account %s/%s: %w", namespace, name, err)
	}
	partial := filepath.Join(filepath.Dir(file), "."+filepath.Base(file))
	if err := os.WriteFile(partial, []byte(answer.Status.Token), 0o600); err != nil {
		return fmt.Errorf("write token of service account %s/%s: %w", namespace, name, err)
	}
	if err := os.Rename(partial, file); err != nil {
		return fmt.Errorf("write token of service account %s/%s: %w", namespace, name, err)
	}
	return nil
}
