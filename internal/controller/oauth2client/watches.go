// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package oauth2client

import (
	"context"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/internal/controller/policy"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
)

// appearance lets through that an object came or went; what changes in between arrives another way.
var appearance = predicate.Funcs{UpdateFunc: func(event.UpdateEvent) bool { return false }} //nolint:gochecknoglobals // a constant function

// deletions lets through that an object went.
var deletions = predicate.Funcs{ //nolint:gochecknoglobals // constant functions
	CreateFunc:  func(event.CreateEvent) bool { return false },
	UpdateFunc:  func(event.UpdateEvent) bool { return false },
	GenericFunc: func(event.GenericEvent) bool { return false },
}

// whatComesLast has what the creation of an object concerns looked at when nothing else waits; what changes or goes has its turn.
func whatComesLast(h handler.EventHandler) handler.EventHandler {
	return handler.Funcs{
		CreateFunc: func(ctx context.Context, e event.CreateEvent, q workqueue.TypedRateLimitingInterface[reconcile.Request]) {
			e.IsInInitialList = true // the handler of what a start lists has that very priority
			h.Create(ctx, e, q)
		},
		UpdateFunc: h.Update, DeleteFunc: h.Delete, GenericFunc: h.Generic,
	}
}

// list turns clients into requests for them, which wait no longer: others have changed what they depend on.
func (r *Reconciler) list(ctx context.Context, wanted func(*v1alpha1.OAuth2Client) bool, options ...client.ListOption) []reconcile.Request {
	var clients v1alpha1.OAuth2ClientList
	if err := r.Client.List(ctx, &clients, options...); err != nil {
		ctrl.LoggerFrom(ctx).Error(err, "cannot list the clients that a change concerns")
		return nil
	}
	requests := make([]reconcile.Request, 0, len(clients.Items))
	for i := range clients.Items {
		if wanted(&clients.Items[i]) {
			key := client.ObjectKeyFromObject(&clients.Items[i])
			r.backoff.End(key)
			requests = append(requests, reconcile.Request{NamespacedName: key})
		}
	}
	return requests
}

func every(*v1alpha1.OAuth2Client) bool { return true }

func (r *Reconciler) everyClient(ctx context.Context, _ client.Object) []reconcile.Request {
	return r.list(ctx, every)
}

// clientsOfConfigMap finds the client that a ConfigMap belongs to, or every client if it is the one with the CA.
func (r *Reconciler) clientsOfConfigMap(ctx context.Context, o client.Object) []reconcile.Request {
	if client.ObjectKeyFromObject(o) != r.CABundle {
		return r.clientsOfSecret(ctx, o)
	}
	return r.list(ctx, every)
}

func (r *Reconciler) clientsOfNamespace(ctx context.Context, o client.Object) []reconcile.Request {
	return r.list(ctx, every, client.InNamespace(o.GetName()))
}

func (r *Reconciler) clientsOfResource(ctx context.Context, o client.Object) []reconcile.Request {
	return r.clientsThatAsk(ctx, oauth2.ObjectName{Namespace: o.GetNamespace(), Name: o.GetName()})
}

func (r *Reconciler) clientsThatAsk(ctx context.Context, name oauth2.ObjectName) []reconcile.Request {
	return r.list(ctx, every, client.MatchingFields{policy.IndexByAccess: policy.Key(name)})
}

// clientsAfter forgets a client that is gone and finds those that there was no room for.
func (r *Reconciler) clientsAfter(ctx context.Context, o client.Object) []reconcile.Request {
	r.backoff.End(client.ObjectKeyFromObject(o))
	r.proposals.Drop(o.GetUID())
	r.firsts.forget(o.GetUID())
	r.written.Forget(o)
	waiting := func(c *v1alpha1.OAuth2Client) bool {
		ready := meta.FindStatusCondition(c.Status.Conditions, v1alpha1.ConditionReady)
		return ready != nil && ready.Reason == v1alpha1.ReasonTooManyClients
	}
	return r.list(ctx, waiting, client.InNamespace(o.GetNamespace()))
}

// clientsOfSecret finds the client that a Secret belongs to: by annotation, because backup tools strip owner references. The
// record of a resource concerns every client that asks for it.
func (r *Reconciler) clientsOfSecret(ctx context.Context, o client.Object) []reconcile.Request {
	annotations := o.GetAnnotations()
	owner := types.NamespacedName{Namespace: o.GetNamespace(), Name: annotations[v1alpha1.AnnotationClient]}
	if o.GetNamespace() == r.RegistryNamespace {
		if resource := annotations[v1alpha1.AnnotationResource]; resource != "" {
			return r.clientsThatAsk(ctx, oauth2.ObjectName{Namespace: annotations[v1alpha1.AnnotationResourceNamespace], Name: resource})
		}
		owner.Namespace = annotations[v1alpha1.AnnotationClientNamespace]
	}
	if owner.Name == "" {
		return nil
	}
	return []reconcile.Request{{NamespacedName: owner}}
}

// clientsOfDeclared finds the clients that read a Secret of their own: by its name, which stands in their specs.
func (r *Reconciler) clientsOfDeclared(ctx context.Context, secret *corev1.Secret) []reconcile.Request {
	reads := func(c *v1alpha1.OAuth2Client) bool { return declares(c) && secretName(c) == secret.Name }
	return r.list(ctx, reads, client.InNamespace(secret.Namespace))
}
