// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package oauth2client

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
)

// The service accounts that clients authenticate as; of each only the metadata is read.
//
// +kubebuilder:rbac:groups="",resources=serviceaccounts,verbs=get;list;watch

// indexByAccount finds the clients that authenticate as a service account.
const indexByAccount = "spec.authentication.serviceAccount.name"

// findServiceAccount finds out which account stands behind the name: its UID is what tokens are held against, so that one which is
// deleted and made again is another one. Whatever else is wrong, the registration that is kept has to have it.
func (r *Reconciler) findServiceAccount(ctx context.Context, c *v1alpha1.OAuth2Client, w *world) error {
	account := w.registration.Client.ServiceAccount
	if account == nil {
		return nil
	}
	key := types.NamespacedName{Namespace: c.Namespace, Name: account.Name}
	for _, from := range []client.Reader{r.Client, r.Live} { // the cache may not have heard of one that came with the client
		found := serviceAccountMeta()
		err := from.Get(ctx, key, found)
		if apierrors.IsNotFound(err) {
			continue
		}
		if err != nil {
			return fmt.Errorf("read ServiceAccount %s: %w", key, err)
		}
		if found.DeletionTimestamp.IsZero() {
			account.UID = string(found.UID)
			return nil
		}
		break
	}
	return nil
}

// checkServiceAccount says that there is no account of that name. Nobody is let in as the client then.
func (*Reconciler) checkServiceAccount(_ context.Context, _ *v1alpha1.OAuth2Client, w *world) error {
	if account := w.registration.Client.ServiceAccount; account != nil && account.UID == "" {
		w.condition = new(v1alpha1.ServiceAccountNotFound(account.Name))
	}
	return nil
}

// clientsOfAccount finds the clients that authenticate as a service account.
func (r *Reconciler) clientsOfAccount(ctx context.Context, account client.Object) []reconcile.Request {
	return r.list(ctx, every, client.InNamespace(account.GetNamespace()), client.MatchingFields{indexByAccount: account.GetName()})
}

// serviceAccountMeta is the metadata of a ServiceAccount, to read into.
func serviceAccountMeta() *metav1.PartialObjectMetadata {
	object := &metav1.PartialObjectMetadata{}
	object.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("ServiceAccount"))
	return object
}

// KeepIdentity drops all that the cache of service accounts has no use for: there are as many as workloads in a cluster.
func KeepIdentity(object any) (any, error) {
	account, ok := object.(*metav1.PartialObjectMetadata)
	if !ok {
		return object, nil
	}
	return &metav1.PartialObjectMetadata{TypeMeta: account.TypeMeta, ObjectMeta: metav1.ObjectMeta{
		Namespace: account.Namespace, Name: account.Name, UID: account.UID,
		ResourceVersion: account.ResourceVersion, DeletionTimestamp: account.DeletionTimestamp,
	}}, nil
}
