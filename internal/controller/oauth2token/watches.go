// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package oauth2token

import (
	"context"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/internal/registration"
)

// list turns OAuth2Tokens into requests for them, which wait no longer: others have changed what they depend on.
func (r *Reconciler) list(ctx context.Context, options ...client.ListOption) []reconcile.Request {
	var tokens v1alpha1.OAuth2TokenList
	if err := r.Client.List(ctx, &tokens, options...); err != nil {
		ctrl.LoggerFrom(ctx).Error(err, "cannot list the tokens that a change concerns")
		return nil
	}
	requests := make([]reconcile.Request, 0, len(tokens.Items))
	for i := range tokens.Items {
		key := client.ObjectKeyFromObject(&tokens.Items[i])
		r.backoff.End(key)
		requests = append(requests, reconcile.Request{NamespacedName: key})
	}
	return requests
}

func (r *Reconciler) everyToken(ctx context.Context, _ client.Object) []reconcile.Request {
	return r.list(ctx)
}

func (r *Reconciler) tokensOfClient(ctx context.Context, o client.Object) []reconcile.Request {
	return r.list(ctx, client.InNamespace(o.GetNamespace()), client.MatchingFields{indexByClient: o.GetName()})
}

// tokenOfSecret finds the OAuth2Token that a Secret belongs to, by annotation, because backup tools strip owner references.
func (*Reconciler) tokenOfSecret(_ context.Context, secret *corev1.Secret) []reconcile.Request {
	name := secret.Annotations[v1alpha1.AnnotationToken]
	if name == "" {
		return nil
	}
	return []reconcile.Request{{NamespacedName: types.NamespacedName{Namespace: secret.Namespace, Name: name}}}
}

// tokensOfRecord finds the OAuth2Tokens that a Secret of the registry concerns.
func (r *Reconciler) tokensOfRecord(ctx context.Context, o client.Object) []reconcile.Request {
	secret, ok := o.(*corev1.Secret)
	if !ok || secret.Namespace != r.RegistryNamespace {
		return nil
	}
	annotations := secret.Annotations
	switch secret.Type {
	case registration.TokenSecretType:
		return []reconcile.Request{{NamespacedName: types.NamespacedName{
			Namespace: annotations[v1alpha1.AnnotationTokenNamespace], Name: annotations[v1alpha1.AnnotationToken],
		}}}
	case registration.SecretType:
		return r.list(ctx, client.InNamespace(annotations[v1alpha1.AnnotationClientNamespace]),
			client.MatchingFields{indexByClient: annotations[v1alpha1.AnnotationClient]})
	case registration.ResourceSecretType, registration.KeysSecretType:
		return r.list(ctx)
	}
	return nil
}

func (r *Reconciler) tokensOfBundle(ctx context.Context, o client.Object) []reconcile.Request {
	if client.ObjectKeyFromObject(o) != r.CABundle {
		return nil
	}
	return r.list(ctx)
}
