// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package oauth2client

import (
	"context"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/internal/controller/attempt"
	"github.com/hallpass-dev/hallpass/internal/registration"
)

// state is what the cache has of a client and of what is written for it: a change of it by others ends a pause. A Secret that the user
// brought along is watched on its own.
func (r *Reconciler) state(ctx context.Context, c *v1alpha1.OAuth2Client) attempt.State {
	registered := versionOf(ctx, r.Client, &corev1.Secret{}, types.NamespacedName{Namespace: r.RegistryNamespace, Name: registration.SecretName(c.ClientID())})
	key := types.NamespacedName{Namespace: c.Namespace, Name: secretName(c)}
	switch {
	case byServiceAccount(c):
		return attempt.StateOf(c, registered, versionOf(ctx, r.Client, &corev1.ConfigMap{}, key))
	case declares(c):
		return attempt.StateOf(c, registered, "")
	}
	return attempt.StateOf(c, registered, versionOf(ctx, r.Client, &corev1.Secret{}, key))
}

// versionOf is the version that the cache has of an object; "" if it has none, or cannot say.
func versionOf(ctx context.Context, from client.Reader, o client.Object, key types.NamespacedName) string {
	if err := from.Get(ctx, key, o, client.UnsafeDisableDeepCopy); err != nil {
		return ""
	}
	return o.GetResourceVersion()
}

// leaves is the state that an attempt leaves which began with another one.
func (w *world) leaves(state attempt.State) attempt.State {
	if w.stored != nil {
		state.Versions[0] = w.stored.ResourceVersion
	}
	switch {
	case w.configMap != nil:
		state.Versions[1] = w.configMap.ResourceVersion
	case w.secret != nil:
		state.Versions[1] = w.secret.ResourceVersion
	}
	return state
}
