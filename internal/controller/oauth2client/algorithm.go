// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package oauth2client

import (
	"context"
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/internal/keyring"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
	"github.com/hallpass-dev/hallpass/internal/registration"
)

// checkAlgorithm says whether there is a key of the algorithm that the client asks for, by the function and the keys that the
// token endpoint decides with. The client stays registered: it can introspect, and its credentials are kept.
func (r *Reconciler) checkAlgorithm(ctx context.Context, c *v1alpha1.OAuth2Client, w *world) error {
	if c.Spec.TokenSigningAlgorithm == "" || w.condition != nil {
		return nil
	}
	var secret corev1.Secret
	err := r.Client.Get(ctx, types.NamespacedName{Namespace: r.RegistryNamespace, Name: registration.KeysSecretName}, &secret)
	if client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("read the signing keys: %w", err)
	}
	ring, unreadable := registration.DecodeKeys(secret.Data)
	if apierrors.IsNotFound(err) || unreadable != nil {
		w.condition = new(v1alpha1.Progressing("find the signing keys")) // their controller speaks up about them, and a change wakes us
		return nil                                                       //nolint:nilerr // the condition says it
	}
	now := r.Clock.Now()
	w.keysChangeAt = nextChangeOf(ring, w.registration.Client, now)
	_, err = oauth2.SigningKey(&w.registration.Client, ring, now)
	if reason := oauth2.ReasonOf(err); reason == oauth2.ReasonAlgorithmNotEnabled {
		w.condition = new(v1alpha1.SigningAlgorithmNotEnabled(c.Spec.TokenSigningAlgorithm, enabledIn(ring, now)))
	} else if err != nil {
		w.condition = new(v1alpha1.SigningAlgorithmNotReady(c.Spec.TokenSigningAlgorithm))
	}
	return nil
}

// nextChangeOf is when the client's algorithm may begin or end to have a key that signs.
func nextChangeOf(ring keyring.Ring, registered oauth2.Client, now time.Time) time.Time {
	var next time.Time
	for _, key := range ring.Keys() {
		for _, at := range []time.Time{key.ActiveAt, key.RetiredAt} {
			if key.Algorithm() == registered.Algorithm && at.After(now) && (next.IsZero() || at.Before(next)) {
				next = at
			}
		}
	}
	return next
}

// enabledIn lists the algorithms that sign, the default first.
func enabledIn(ring keyring.Ring, now time.Time) string {
	var enabled []string
	for _, algorithm := range ring.Algorithms() {
		if _, err := ring.SigningKeyFor(algorithm, now); err == nil {
			enabled = append(enabled, string(algorithm))
		}
	}
	return strings.Join(enabled, ", ")
}

// clientsOfKeys finds the clients that ask for an algorithm, whose conditions may change with the keys.
func (r *Reconciler) clientsOfKeys(ctx context.Context, o client.Object) []reconcile.Request {
	if o.GetNamespace() != r.RegistryNamespace || o.GetName() != registration.KeysSecretName {
		return nil
	}
	return r.list(ctx, func(c *v1alpha1.OAuth2Client) bool { return c.Spec.TokenSigningAlgorithm != "" })
}
