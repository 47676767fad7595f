// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

// Package registry deletes the records of OAuth2Clients, OAuth2Resources and OAuth2Tokens that are gone.
// The token server refuses a client without its owner by itself; a resource ends with its record.
package registry

import (
	"context"
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/internal/controller/output"
	"github.com/hallpass-dev/hallpass/internal/controller/policy"
	"github.com/hallpass-dev/hallpass/internal/registration"
)

const (
	workers = 8
	// sweepInterval is how often each registration is looked at although nothing happened to it.
	sweepInterval = 30 * time.Minute
)

// Reconciler removes the records of owners that are gone.
type Reconciler struct {
	// Client reads from the cache and writes; Live reads from the API server itself.
	Client            client.Client
	Live              client.Reader
	Policy            *policy.Source
	RegistryNamespace string
}

// owner is whose a record is; object is an empty object of its kind.
type owner struct {
	types.NamespacedName

	kind   string
	object client.Object
	uid    string
}

// ownerOf reads whose record it is.
func ownerOf(stored *corev1.Secret) (owner, error) {
	switch stored.Type {
	case registration.ResourceSecretType:
		r, err := registration.DecodeResource(stored.Data)
		return owner{types.NamespacedName{Namespace: r.Namespace, Name: r.Name}, "OAuth2Resource", &v1alpha1.OAuth2Resource{}, r.UID}, err
	case registration.TokenSecretType:
		m, err := registration.DecodeToken(stored.Data)
		return owner{types.NamespacedName{Namespace: m.Namespace, Name: m.Name}, "OAuth2Token", &v1alpha1.OAuth2Token{}, m.UID}, err
	}
	r, err := registration.Decode(stored.Data)
	return owner{types.NamespacedName{Namespace: r.Client.Namespace, Name: r.Client.Name}, "OAuth2Client", &v1alpha1.OAuth2Client{}, r.Client.UID}, err
}

// Reconcile looks at one record. It deletes it only after a live read has found no owner, or another one.
func (r *Reconciler) Reconcile(ctx context.Context, stored *corev1.Secret) (ctrl.Result, error) {
	recorded, err := ownerOf(stored)
	if err != nil {
		ctrl.LoggerFrom(ctx).Error(err, "cannot read a record; it is left alone and allows nothing")
		return ctrl.Result{}, nil
	}
	if !r.Policy.Covers(recorded.Namespace) {
		// Its owner cannot be read. Without an owner a record lets nobody in, and goes when the namespace is covered again.
		return ctrl.Result{RequeueAfter: sweepInterval}, nil
	}
	gone, err := r.goneFromCache(ctx, recorded)
	if err == nil && gone {
		gone, err = output.Gone(ctx, r.Live, recorded.kind, recorded.NamespacedName, recorded.uid)
	}
	if err != nil {
		return ctrl.Result{}, err
	}
	if !gone {
		return ctrl.Result{RequeueAfter: sweepInterval}, nil
	}
	return ctrl.Result{}, output.Delete(ctx, r.Client, stored)
}

// goneFromCache asks the cache, which has the objects whole.
func (r *Reconciler) goneFromCache(ctx context.Context, recorded owner) (bool, error) {
	err := r.Client.Get(ctx, recorded.NamespacedName, recorded.object)
	if client.IgnoreNotFound(err) != nil {
		return false, fmt.Errorf("look for %s %s: %w", recorded.kind, recorded, err)
	}
	return err != nil || string(recorded.object.GetUID()) != recorded.uid, nil //nolint:nilerr // an absence is an answer
}

// SetupWithManager says what wakes the controller.
func (r *Reconciler) SetupWithManager(mgr ctrl.Manager) error {
	registrations := predicate.NewPredicateFuncs(func(o client.Object) bool {
		secret, ok := o.(*corev1.Secret)
		return ok && secret.Namespace == r.RegistryNamespace &&
			slices.Contains([]corev1.SecretType{registration.SecretType, registration.ResourceSecretType, registration.TokenSecretType}, secret.Type)
	})
	gone := handler.Funcs{DeleteFunc: r.wakeRecord}
	err := ctrl.NewControllerManagedBy(mgr).
		Named("registry").
		// Every registration is looked at when the manager starts: the sweep.
		For(&corev1.Secret{}, builder.WithPredicates(registrations)).
		// A client, resource or token that was deleted leaves its record.
		Watches(&v1alpha1.OAuth2Client{}, gone).
		Watches(&v1alpha1.OAuth2Resource{}, gone).
		Watches(&v1alpha1.OAuth2Token{}, gone).
		WithOptions(controller.Options{MaxConcurrentReconciles: workers}).
		Complete(reconcile.AsReconciler(mgr.GetClient(), r))
	if err != nil {
		return fmt.Errorf("set up the registry controller: %w", err)
	}
	return nil
}

// wakeRecord wakes the record of a deleted object. Its name is derived from an identifier of the object.
func (r *Reconciler) wakeRecord(_ context.Context, e event.DeleteEvent, q workqueue.TypedRateLimitingInterface[reconcile.Request]) {
	var name string
	switch object := e.Object.(type) {
	case *v1alpha1.OAuth2Client:
		name = registration.SecretName(object.ClientID())
	case *v1alpha1.OAuth2Resource:
		name = registration.ResourceSecretName(r.Policy.Identifier(object))
	case *v1alpha1.OAuth2Token:
		name = registration.TokenSecretName(string(object.UID))
	}
	q.Add(reconcile.Request{NamespacedName: types.NamespacedName{Namespace: r.RegistryNamespace, Name: name}})
}
