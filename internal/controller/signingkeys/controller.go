// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

// Package signingkeys makes the keys that tokens are signed with and keeps them in the registry namespace.
package signingkeys

import (
	"context"
	"fmt"
	"io"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/internal/keyring"
	"github.com/hallpass-dev/hallpass/internal/registration"
)

// Reconciler keeps the key ring.
type Reconciler struct {
	// Client reads from the cache and writes.
	Client            client.Client
	Clock             clock.PassiveClock
	Random            io.Reader
	RegistryNamespace string
}

// Reconcile makes the ring where there is none. One that cannot be read is left alone: the token servers hold the last good
// one, and writing over it would lose keys whose tokens are out.
func (r *Reconciler) Reconcile(ctx context.Context, request ctrl.Request) (ctrl.Result, error) {
	var stored corev1.Secret
	err := r.Client.Get(ctx, request.NamespacedName, &stored)
	if err == nil {
		if _, err := registration.DecodeKeys(stored.Data); err != nil {
			ctrl.LoggerFrom(ctx).Error(err, "cannot read the signing keys; token servers go on with those they hold")
		}
		return ctrl.Result{}, nil
	}
	if !apierrors.IsNotFound(err) {
		return ctrl.Result{}, fmt.Errorf("read the signing keys: %w", err)
	}
	return ctrl.Result{}, r.create(ctx)
}

// create makes the first ring. AlreadyExists says that another manager was faster, whose ring it is then.
func (r *Reconciler) create(ctx context.Context) error {
	ring, err := keyring.New(r.Clock.Now(), r.Random)
	if err != nil {
		return err
	}
	data, err := registration.EncodeKeys(ring)
	if err != nil {
		return err
	}
	secret := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: r.RegistryNamespace, Name: registration.KeysSecretName,
			Labels: map[string]string{v1alpha1.LabelManagedBy: v1alpha1.ManagedBy},
		},
		Type: registration.KeysSecretType,
		Data: data,
	}
	if err := r.Client.Create(ctx, secret); err != nil && !apierrors.IsAlreadyExists(err) {
		return fmt.Errorf("create the signing keys: %w", err)
	}
	return nil
}

// SetupWithManager says what wakes the controller.
func (r *Reconciler) SetupWithManager(mgr ctrl.Manager) error {
	keys := types.NamespacedName{Namespace: r.RegistryNamespace, Name: registration.KeysSecretName}
	// The first look comes without an event: at the very start there is no Secret that could cause one.
	firstLook := source.Func(func(_ context.Context, queue workqueue.TypedRateLimitingInterface[reconcile.Request]) error {
		queue.Add(reconcile.Request{NamespacedName: keys})
		return nil
	})
	onlyKeys := predicate.NewPredicateFuncs(func(o client.Object) bool { return client.ObjectKeyFromObject(o) == keys })
	err := ctrl.NewControllerManagedBy(mgr).
		Named("signingkeys").
		For(&corev1.Secret{}, builder.WithPredicates(onlyKeys)).
		WatchesRawSource(firstLook).
		Complete(r)
	if err != nil {
		return fmt.Errorf("set up the signing key controller: %w", err)
	}
	return nil
}
