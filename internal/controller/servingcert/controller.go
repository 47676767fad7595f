// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

// Package servingcert gives the token server a serving certificate from a certificate authority of its own, renews both in
// time, and publishes the authority for those who call.
package servingcert

import (
	"context"
	"fmt"
	"io"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
)

// The objects in the system namespace.
const (
	// AuthoritySecretName holds the authority's certificate and key.
	AuthoritySecretName = "hallpass-ca"
	// ServingSecretName holds the serving certificate and key that the token server mounts.
	ServingSecretName = "hallpass-tokenserver-tls"
	// BundleConfigMapName holds, under ca.crt, the authority that callers trust.
	BundleConfigMapName = "hallpass-ca"
	// BundleKey is the entry of the bundle.
	BundleKey = "ca.crt"
)

// Reconciler keeps the authority, the serving certificate and the bundle.
type Reconciler struct {
	// Client reads from the cache and writes.
	Client          client.Client
	Clock           clock.PassiveClock
	Random          io.Reader
	SystemNamespace string
	// Names are the DNS names and IP addresses that the certificate is for.
	Names []string
}

// The certificate authority for callers to trust; its key is in a Secret. list and watch are granted for this one name only,
// so whoever watches has to select it by field.
//
// +kubebuilder:rbac:namespace=hallpass-system,groups="",resources=configmaps,verbs=create
// +kubebuilder:rbac:namespace=hallpass-system,groups="",resources=configmaps,resourceNames=hallpass-ca,verbs=get;list;watch;update

// Reconcile looks at all three: they are one chain.
func (r *Reconciler) Reconcile(ctx context.Context, _ ctrl.Request) (ctrl.Result, error) {
	now := r.Clock.Now()
	authority, err := r.ensureAuthority(ctx, now)
	if err != nil {
		return ctrl.Result{}, err
	}
	serving, err := r.ensureServing(ctx, authority, now)
	if err != nil {
		return ctrl.Result{}, err
	}
	if err := r.ensureBundle(ctx, authority); err != nil {
		return ctrl.Result{}, err
	}
	next := min(authority.renewAt().Sub(now), serving.renewAt().Sub(now))
	return ctrl.Result{RequeueAfter: max(next, time.Second)}, nil
}

func (r *Reconciler) ensureAuthority(ctx context.Context, now time.Time) (pair, error) {
	stored, found, err := r.read(ctx, AuthoritySecretName)
	if err != nil {
		return pair{}, err
	}
	if current, err := parsePair(stored.Data); err == nil && current.isAuthority() && now.Before(current.renewAt()) {
		return current, nil
	}
	made, err := newAuthority(now, r.Random)
	if err != nil {
		return pair{}, err
	}
	return made, r.write(ctx, stored, found, AuthoritySecretName, made)
}

func (r *Reconciler) ensureServing(ctx context.Context, authority pair, now time.Time) (pair, error) {
	stored, found, err := r.read(ctx, ServingSecretName)
	if err != nil {
		return pair{}, err
	}
	if current, err := parsePair(stored.Data); err == nil && current.serves(r.Names, authority) && now.Before(current.renewAt()) {
		return current, nil
	}
	made, err := authority.issue(r.Names, now, r.Random)
	if err != nil {
		return pair{}, err
	}
	return made, r.write(ctx, stored, found, ServingSecretName, made)
}

func (r *Reconciler) ensureBundle(ctx context.Context, authority pair) error {
	key := types.NamespacedName{Namespace: r.SystemNamespace, Name: BundleConfigMapName}
	wanted := &corev1.ConfigMap{ObjectMeta: r.meta(key.Name), Data: map[string]string{BundleKey: string(authority.certPEM)}}
	var stored corev1.ConfigMap
	err := r.Client.Get(ctx, key, &stored)
	switch {
	case apierrors.IsNotFound(err):
		err = r.Client.Create(ctx, wanted)
	case err == nil && stored.Data[BundleKey] != wanted.Data[BundleKey]:
		wanted.ResourceVersion = stored.ResourceVersion
		err = r.Client.Update(ctx, wanted)
	}
	if err != nil {
		return fmt.Errorf("publish the certificate authority in ConfigMap %s: %w", key, err)
	}
	return nil
}

func (r *Reconciler) read(ctx context.Context, name string) (*corev1.Secret, bool, error) {
	var stored corev1.Secret
	err := r.Client.Get(ctx, types.NamespacedName{Namespace: r.SystemNamespace, Name: name}, &stored)
	if apierrors.IsNotFound(err) {
		return &stored, false, nil
	}
	if err != nil {
		return nil, false, fmt.Errorf("read Secret %s/%s: %w", r.SystemNamespace, name, err)
	}
	return &stored, true, nil
}

func (r *Reconciler) write(ctx context.Context, stored *corev1.Secret, found bool, name string, made pair) error {
	wanted := &corev1.Secret{
		ObjectMeta: r.meta(name), Type: corev1.SecretTypeTLS,
		Data: map[string][]byte{corev1.TLSCertKey: made.certPEM, corev1.TLSPrivateKeyKey: made.keyPEM},
	}
	var err error
	if found {
		wanted.ResourceVersion = stored.ResourceVersion
		err = r.Client.Update(ctx, wanted)
	} else {
		err = r.Client.Create(ctx, wanted)
	}
	if err != nil {
		return fmt.Errorf("write Secret %s/%s: %w", r.SystemNamespace, name, err)
	}
	return nil
}

func (r *Reconciler) meta(name string) metav1.ObjectMeta {
	return metav1.ObjectMeta{
		Namespace: r.SystemNamespace, Name: name,
		Labels: map[string]string{v1alpha1.LabelManagedBy: v1alpha1.ManagedBy},
	}
}

// SetupWithManager says what wakes the controller.
func (r *Reconciler) SetupWithManager(mgr ctrl.Manager) error {
	all := reconcile.Request{NamespacedName: types.NamespacedName{Namespace: r.SystemNamespace, Name: AuthoritySecretName}}
	// The first look comes without an event: at the very start none of the objects is there.
	firstLook := source.Func(func(_ context.Context, queue workqueue.TypedRateLimitingInterface[reconcile.Request]) error {
		queue.Add(all)
		return nil
	})
	toAll := handler.EnqueueRequestsFromMapFunc(func(_ context.Context, o client.Object) []reconcile.Request {
		if o.GetNamespace() == r.SystemNamespace {
			return []reconcile.Request{all}
		}
		return nil
	})
	err := ctrl.NewControllerManagedBy(mgr).
		Named("servingcert").
		WatchesRawSource(firstLook).
		// What is deleted or edited is made again.
		Watches(&corev1.Secret{}, toAll).
		Watches(&corev1.ConfigMap{}, toAll).
		Complete(r)
	if err != nil {
		return fmt.Errorf("set up the serving certificate controller: %w", err)
	}
	return nil
}
