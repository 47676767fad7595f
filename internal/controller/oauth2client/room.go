// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package oauth2client

import (
	"context"

	"k8s.io/apimachinery/pkg/types"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
)

// waitingForRoom finds the clients of a namespace that there was no room for and is now, and ends
// their pauses.
func (r *Reconciler) waitingForRoom(ctx context.Context, namespace string) ([]types.NamespacedName, error) {
	waiting, err := r.Policy.WaitingForRoom(ctx, &v1alpha1.OAuth2Client{}, namespace)
	for _, key := range waiting {
		r.memory.backoff.End(key)
	}
	return waiting, err
}
