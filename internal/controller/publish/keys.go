// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package publish

import (
	"context"
	"fmt"
	"sync"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hallpass-dev/hallpass/internal/keyring"
	"github.com/hallpass-dev/hallpass/internal/registration"
)

// Keys reads the signing keys. It decodes each version of their Secret once, because each decoding
// parses private keys. The zero Keys is ready to use.
type Keys struct {
	mu      sync.Mutex
	version string
	ring    keyring.Ring
	err     error
}

// Read returns the ring in the registry of that namespace.
func (k *Keys) Read(ctx context.Context, from client.Reader, namespace string) (keyring.Ring, error) {
	var secret corev1.Secret
	if err := from.Get(ctx, types.NamespacedName{Namespace: namespace, Name: registration.KeysSecretName}, &secret); err != nil {
		return keyring.Ring{}, fmt.Errorf("read the signing keys: %w", err)
	}
	version := string(secret.UID) + "/" + secret.ResourceVersion
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.version != version {
		k.ring, k.err = registration.DecodeKeys(secret.Data)
		k.version = version
	}
	return k.ring, k.err
}
