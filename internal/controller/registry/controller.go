// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

// Package registry keeps the registry namespace free of registrations whose OAuth2Client is no more. It is what deletion
// leaves to the manager: the token server refuses such a client by itself, so nothing waits for this.
package registry

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/internal/registration"
)

const (
	workers = 8
	// sweepInterval is how often each registration is looked at although nothing happened to it.
	sweepInterval = 30 * time.Minute
)

// Reconciler removes registrations of owners that are gone.
type Reconciler struct {
	// Client reads from the cache and writes; Live reads from the API server itself.
	Client            client.Client
	Live              client.Reader
	RegistryNamespace string
}

// Reconcile looks at one registration. It is deleted only after a live read has said that its owner is gone or is another
// object; a refusal to answer is neither.
func (r *Reconciler) Reconcile(ctx context.Context, stored *corev1.Secret) (ctrl.Result, error) {
	registered, err := registration.Decode(stored.Data)
	if err != nil {
		ctrl.LoggerFrom(ctx).Error(err, "cannot read a registration; it is left alone and its client refused")
		return ctrl.Result{}, nil
	}
	owner := types.NamespacedName{Namespace: registered.Client.Namespace, Name: registered.Client.Name}
	gone, err := r.gone(ctx, r.Client, owner, registered.Client.UID)
	if err == nil && gone {
		gone, err = r.gone(ctx, r.Live, owner, registered.Client.UID)
	}
	if err != nil {
		return ctrl.Result{}, err
	}
	if !gone {
		return ctrl.Result{RequeueAfter: sweepInterval}, nil
	}
	err = r.Client.Delete(ctx, stored, client.Preconditions{UID: &stored.UID, ResourceVersion: &stored.ResourceVersion})
	if client.IgnoreNotFound(err) != nil {
		return ctrl.Result{}, fmt.Errorf("remove the registration of %s: %w", registered.Client.ID, err)
	}
	return ctrl.Result{}, nil
}

func (r *Reconciler) gone(ctx context.Context, from client.Reader, owner types.NamespacedName, uid string) (bool, error) {
	var found v1alpha1.OAuth2Client
	err := from.Get(ctx, owner, &found)
	if apierrors.IsNotFound(err) {
		return true, nil
	}
	if err != nil {
		return false, fmt.Errorf("ask for OAuth2Client %s: %w", owner, err)
	}
	return string(found.UID) != uid, nil
}

// SetupWithManager says what wakes the controller.
func (r *Reconciler) SetupWithManager(mgr ctrl.Manager) error {
	registrations := predicate.NewPredicateFuncs(func(o client.Object) bool {
		secret, ok := o.(*corev1.Secret)
		return ok && secret.Namespace == r.RegistryNamespace && secret.Type == registration.SecretType
	})
	deletions := predicate.Funcs{
		CreateFunc:  func(event.CreateEvent) bool { return false },
		UpdateFunc:  func(event.UpdateEvent) bool { return false },
		GenericFunc: func(event.GenericEvent) bool { return false },
	}
	err := ctrl.NewControllerManagedBy(mgr).
		Named("registry").
		// Every registration is looked at when the manager starts: the sweep.
		For(&corev1.Secret{}, builder.WithPredicates(registrations)).
		// A client that was deleted leaves its registration.
		Watches(&v1alpha1.OAuth2Client{}, handler.EnqueueRequestsFromMapFunc(r.registrationOf), builder.WithPredicates(deletions)).
		WithOptions(controller.Options{MaxConcurrentReconciles: workers}).
		Complete(reconcile.AsReconciler(mgr.GetClient(), r))
	if err != nil {
		return fmt.Errorf("set up the registry controller: %w", err)
	}
	return nil
}

func (r *Reconciler) registrationOf(_ context.Context, o client.Object) []reconcile.Request {
	c, ok := o.(*v1alpha1.OAuth2Client)
	if !ok {
		return nil
	}
	name := registration.SecretName(c.ClientID())
	return []reconcile.Request{{NamespacedName: types.NamespacedName{Namespace: r.RegistryNamespace, Name: name}}}
}
