// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package action

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/hallpass-dev/hallpass/cmd/kubectl-hallpass/cluster"
	"github.com/hallpass-dev/hallpass/cmd/kubectl-hallpass/show"
	"github.com/hallpass-dev/hallpass/internal/registration"
)

// Keys are the signing keys without their private halves. The client is that of the namespace of
// the registrations.
func Keys(ctx context.Context, c *cluster.Client, now time.Time) ([]show.Key, error) {
	secret, err := cluster.Read[corev1.Secret](ctx, c, cluster.Secrets(), registration.KeysSecretName)
	if err != nil {
		return nil, err
	}
	ring, err := registration.DecodeKeys(secret.Data)
	if err != nil {
		return nil, fmt.Errorf("the signing keys cannot be read: %w. Install the plugin of the cluster's version", err)
	}
	return show.Keys(ring, now), nil
}
