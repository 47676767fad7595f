// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package oauth2token

import (
	"context"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/internal/controller/attempt"
	"github.com/hallpass-dev/hallpass/internal/controller/output"
	"github.com/hallpass-dev/hallpass/internal/controller/policy"
	"github.com/hallpass-dev/hallpass/internal/controller/publish"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
	"github.com/hallpass-dev/hallpass/internal/registration"
)

// Names finds the names of objects in the cache.
type Names interface {
	Names(like client.Object) []types.NamespacedName
	Indexed(like client.Object, field, namespace, value string) ([]types.NamespacedName, error)
}

// watches finds the OAuth2Tokens that an event concerns.
type watches struct {
	*Config

	backoff *attempt.Backoff
	revoked *revocations
}

// list returns requests for OAuth2Tokens and ends their pauses: others have changed what they
// depend on.
func (w watches) list(ctx context.Context, options ...client.ListOption) []reconcile.Request {
	var tokens v1alpha1.OAuth2TokenList
	if err := w.Client.List(ctx, &tokens, options...); err != nil {
		ctrl.LoggerFrom(ctx).Error(err, "cannot list the tokens that a change concerns")
		return nil
	}
	requests := make([]reconcile.Request, 0, len(tokens.Items))
	for i := range tokens.Items {
		key := client.ObjectKeyFromObject(&tokens.Items[i])
		w.backoff.End(key)
		requests = append(requests, reconcile.Request{NamespacedName: key})
	}
	return requests
}

func (w watches) tokensOfNamespace(ctx context.Context, o client.Object) []reconcile.Request {
	return w.list(ctx, client.InNamespace(o.GetName()))
}

// everyToken finds all of them, for a change that concerns each.
func (w watches) everyToken(context.Context, client.Object) []reconcile.Request {
	return w.wake(w.Informers.Names(&v1alpha1.OAuth2Token{}))
}

func (w watches) tokensOfClient(ctx context.Context, o client.Object) []reconcile.Request {
	return w.indexed(ctx, client.ObjectKeyFromObject(o))
}

// indexed returns requests for the OAuth2Tokens of a client, and ends their pauses. It reads none
// of them: handlers of events run one after the other.
func (w watches) indexed(ctx context.Context, of types.NamespacedName) []reconcile.Request {
	names, err := w.Informers.Indexed(&v1alpha1.OAuth2Token{}, indexByClient, of.Namespace, of.Name)
	if err != nil {
		ctrl.LoggerFrom(ctx).Error(err, "cannot find the tokens of a client")
	}
	return w.wake(names)
}

func (w watches) wake(names []types.NamespacedName) []reconcile.Request {
	requests := make([]reconcile.Request, 0, len(names))
	for _, key := range names {
		w.backoff.End(key)
		requests = append(requests, reconcile.Request{NamespacedName: key})
	}
	return requests
}

// tokensOfClientID finds the OAuth2Tokens of the client that is registered with a client_id.
func (w watches) tokensOfClientID(ctx context.Context, clientID string) []reconcile.Request {
	record, err := publish.Read(ctx, w.Client, types.NamespacedName{Namespace: w.RegistryNamespace, Name: registration.SecretName(clientID)})
	if err != nil {
		ctrl.LoggerFrom(ctx).Error(err, "cannot find the client whose tokens were revoked")
	}
	if record == nil {
		return nil
	}
	return w.tokensOfRecord(ctx, record)
}

// tokenOfSecret finds the OAuth2Token that a Secret belongs to: by annotation, because backup tools
// strip owner references, or by its owner reference if it was stripped of the annotation.
func tokenOfSecret(_ context.Context, secret *corev1.Secret) []reconcile.Request {
	name := output.NameOfOwner(secret, v1alpha1.AnnotationToken)
	if name == "" {
		return nil
	}
	return []reconcile.Request{{NamespacedName: types.NamespacedName{Namespace: secret.Namespace, Name: name}}}
}

// tokensOfRecord finds the OAuth2Tokens that a Secret of the registry concerns.
func (w watches) tokensOfRecord(ctx context.Context, o client.Object) []reconcile.Request {
	secret, ok := o.(*corev1.Secret)
	if !ok || secret.Namespace != w.RegistryNamespace {
		return nil
	}
	annotations := secret.Annotations
	switch secret.Type {
	case registration.TokenSecretType:
		return []reconcile.Request{{NamespacedName: types.NamespacedName{
			Namespace: annotations[v1alpha1.AnnotationTokenNamespace], Name: annotations[v1alpha1.AnnotationToken],
		}}}
	case registration.SecretType:
		return w.indexed(ctx, types.NamespacedName{
			Namespace: annotations[v1alpha1.AnnotationClientNamespace], Name: annotations[v1alpha1.AnnotationClient],
		})
	case registration.ResourceSecretType:
		return w.tokensOfResource(ctx, oauth2.ObjectName{
			Namespace: annotations[v1alpha1.AnnotationResourceNamespace], Name: annotations[v1alpha1.AnnotationResource],
		})
	case registration.KeysSecretType:
		return w.everyToken(ctx, o)
	}
	return nil
}

func (w watches) tokensOfDeclared(ctx context.Context, o client.Object) []reconcile.Request {
	return w.tokensOfResource(ctx, oauth2.ObjectName{Namespace: o.GetNamespace(), Name: o.GetName()})
}

// tokensOfResource finds the OAuth2Tokens of the clients that ask for a resource.
func (w watches) tokensOfResource(ctx context.Context, name oauth2.ObjectName) []reconcile.Request {
	clients, err := w.Informers.Indexed(&v1alpha1.OAuth2Client{}, policy.IndexByAccess, "", policy.Key(name))
	if err != nil {
		ctrl.LoggerFrom(ctx).Error(err, "cannot find the clients that ask for a resource")
	}
	var requests []reconcile.Request
	for _, of := range clients {
		requests = append(requests, w.indexed(ctx, of)...)
	}
	return requests
}

func (w watches) tokensOfBundle(ctx context.Context, o client.Object) []reconcile.Request {
	if client.ObjectKeyFromObject(o) != w.CABundle {
		return nil
	}
	return w.everyToken(ctx, o)
}

// onRevocation wakes the OAuth2Tokens whose token was revoked. A TokenRevocation does not change,
// and a merged one has no new entries. When one is deleted its selector ends, and a Fixed token
// that it selects is accepted again.
func (w watches) onRevocation() handler.Funcs {
	return handler.Funcs{
		CreateFunc: func(ctx context.Context, e event.CreateEvent, queue workqueue.TypedRateLimitingInterface[reconcile.Request]) {
			if object, ok := e.Object.(*v1alpha1.TokenRevocation); ok && object.Namespace == w.RegistryNamespace {
				for _, request := range w.tokensRevoked(ctx, object) {
					queue.Add(request)
				}
			}
		},
		DeleteFunc: func(ctx context.Context, e event.DeleteEvent, queue workqueue.TypedRateLimitingInterface[reconcile.Request]) {
			if e.Object.GetNamespace() != w.RegistryNamespace {
				return
			}
			w.revoked.known.Deselect(e.Object.GetName())
			if object, ok := e.Object.(*v1alpha1.TokenRevocation); ok {
				for _, request := range w.tokensSelected(ctx, object.Spec.Selector) {
					queue.Add(request)
				}
			}
		},
	}
}

// tokensSelected finds the OAuth2Tokens of the client or of the namespace that a selector names.
func (w watches) tokensSelected(ctx context.Context, s v1alpha1.RevocationSelector) []reconcile.Request {
	switch {
	case s.Namespace != "":
		return w.list(ctx, client.InNamespace(s.Namespace))
	case s.ClientID != "":
		return w.tokensOfClientID(ctx, s.ClientID)
	}
	return nil
}

// tokensRevoked finds the OAuth2Tokens that a TokenRevocation selects.
func (w watches) tokensRevoked(ctx context.Context, object *v1alpha1.TokenRevocation) []reconcile.Request {
	news := w.revoked.learn(object, w.Clock.Now())
	if s := object.Spec.Selector; s.Namespace != "" || s.ClientID != "" {
		return w.tokensSelected(ctx, s)
	}
	var requests []reconcile.Request
	for _, id := range news {
		var found v1alpha1.OAuth2TokenList
		if err := w.Client.List(ctx, &found, client.MatchingFields{indexByTokenID: id.String()}, client.UnsafeDisableDeepCopy); err != nil {
			ctrl.LoggerFrom(ctx).Error(err, "cannot find the OAuth2Token of a token that was revoked")
			return requests
		}
		for i := range found.Items {
			requests = append(requests, reconcile.Request{NamespacedName: client.ObjectKeyFromObject(&found.Items[i])})
		}
	}
	return requests
}
