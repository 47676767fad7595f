// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package controlplane

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

// accountTokenLife is how long the token of a service account lasts; runs that are longer want a new kubeconfig.
const accountTokenLife = 24 * time.Hour

// ServiceAccountKubeconfig writes a kubeconfig with which a process has the rights of a service account and no others: its
// token comes from the TokenRequest API, as a pod's does.
func (cp *ControlPlane) ServiceAccountKubeconfig(ctx context.Context, namespace, name string) (string, error) {
	token, err := cp.accountToken(ctx, namespace, name)
	if err != nil {
		return "", err
	}
	file := cp.path(namespace + "." + name + ".token")
	if err := os.WriteFile(file, []byte(token), 0o600); err != nil {
		return "", fmt.Errorf("write token of service account %s/%s: %w", namespace, name, err)
	}
	path, err := filepath.Abs(cp.path(namespace + "." + name + ".kubeconfig"))
	if err != nil {
		return "", fmt.Errorf("name kubeconfig of service account %s/%s: %w", namespace, name, err)
	}
	return path, writeKubeconfig(path, cp.URL(), cp.pki.ca, &clientcmdapi.AuthInfo{TokenFile: file})
}

// ServiceAccountConfig connects with the rights of a service account and no others.
func (cp *ControlPlane) ServiceAccountConfig(ctx context.Context, namespace, name string) (*rest.Config, error) {
	token, err := cp.accountToken(ctx, namespace, name)
	if err != nil {
		return nil, err
	}
	return &rest.Config{
		Host: cp.URL(), QPS: -1, BearerToken: token,
		TLSClientConfig: rest.TLSClientConfig{CAData: cp.pki.ca},
	}, nil
}

func (cp *ControlPlane) accountToken(ctx context.Context, namespace, name string) (string, error) {
	client, err := kubernetes.NewForConfig(cp.AdminConfig())
	if err != nil {
		return "", fmt.Errorf("connect as administrator: %w", err)
	}
	request := &authenticationv1.TokenRequest{
		Spec: authenticationv1.TokenRequestSpec{ExpirationSeconds: new(int64(accountTokenLife / time.Second))},
	}
	answer, err := client.CoreV1().ServiceAccounts(namespace).CreateToken(ctx, name, request, metav1.CreateOptions{})
	if err != nil {
		return "", fmt.Errorf("request token of service account %s/%s: %w", namespace, name, err)
	}
	return answer.Status.Token, nil
}
