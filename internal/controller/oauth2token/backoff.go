// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package oauth2token

import (
	"context"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/internal/controller/attempt"
	"github.com/hallpass-dev/hallpass/internal/controller/output"
)

// state is what the caches have of an OAuth2Token, its record and its Secret. A change of it by others
// ends a pause.
func (r *Reconciler) state(ctx context.Context, object *v1alpha1.OAuth2Token) attempt.State {
	secret := types.NamespacedName{Namespace: object.Namespace, Name: secretName(object)}
	return attempt.StateOf(object,
		output.Version(ctx, r.client, &corev1.Secret{}, r.recordKey(object)),
		output.Version(ctx, r.delivery.secrets, &corev1.Secret{}, secret))
}

// leaves is the state after an attempt that began with another state.
func (s *state) leaves(state attempt.State) attempt.State {
	if s.stored != nil {
		state.Versions[0] = s.stored.ResourceVersion
	}
	if s.secret != nil {
		state.Versions[1] = s.secret.GetResourceVersion()
	}
	return state
}

// forget drops the state of an OAuth2Token that was deleted.
func (r *Reconciler) forget(_ context.Context, e event.DeleteEvent, _ workqueue.TypedRateLimitingInterface[reconcile.Request]) {
	r.backoff.End(client.ObjectKeyFromObject(e.Object))
	r.minter.proposals.Drop(e.Object.GetUID())
	r.reports.written.Forget(e.Object)
}
