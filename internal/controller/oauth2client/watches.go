// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package oauth2client

import (
	"context"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/internal/controller/fair"
	"github.com/hallpass-dev/hallpass/internal/controller/output"
	"github.com/hallpass-dev/hallpass/internal/controller/policy"
	"github.com/hallpass-dev/hallpass/internal/controller/poll"
	"github.com/hallpass-dev/hallpass/internal/controller/publish"
	"github.com/hallpass-dev/hallpass/internal/controller/usagereport"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
	"github.com/hallpass-dev/hallpass/internal/registration"
)

// appearance lets through that an object came or went; what changes in between arrives another way.
var appearance = predicate.Funcs{UpdateFunc: func(event.UpdateEvent) bool { return false }} //nolint:gochecknoglobals // a constant function

// lowPriority has the creation of an object handled when nothing else waits.
func lowPriority(h handler.EventHandler) handler.EventHandler {
	return handler.Funcs{
		CreateFunc: func(ctx context.Context, e event.CreateEvent, q workqueue.TypedRateLimitingInterface[reconcile.Request]) {
			// the handler of what a start lists has that very priority
			e.IsInInitialList = true
			h.Create(ctx, e, q)
		},
		UpdateFunc: h.Update, DeleteFunc: h.Delete, GenericFunc: h.Generic,
	}
}

// wakes finds the clients that a change of another object concerns.
type wakes struct {
	client            client.Client
	informers         Names
	registryNamespace string
	caBundle          types.NamespacedName
	memory            *memory
	usage             *usagereport.Ledger
	waiting           *poll.Waiting
	room              *publish.Room
	deletions         fair.Burst
}

// list turns the clients that the options select into requests, and ends their pauses.
func (w wakes) list(ctx context.Context, options ...client.ListOption) []reconcile.Request {
	var clients v1alpha1.OAuth2ClientList
	if err := w.client.List(ctx, &clients, options...); err != nil {
		ctrl.LoggerFrom(ctx).Error(err, "cannot list the clients that a change concerns")
		return nil
	}
	names := make([]types.NamespacedName, len(clients.Items))
	for i := range clients.Items {
		names[i] = client.ObjectKeyFromObject(&clients.Items[i])
	}
	return w.wake(names)
}

// indexed turns the clients of a namespace, or of all if it is empty, that an index has under a
// value into requests, and ends their pauses. It reads none of them: handlers of events run one
// after the other, and a resource may have thousands of clients.
func (w wakes) indexed(ctx context.Context, field, namespace, value string) []reconcile.Request {
	names, err := w.informers.Indexed(&v1alpha1.OAuth2Client{}, field, namespace, value)
	if err != nil {
		ctrl.LoggerFrom(ctx).Error(err, "cannot find the clients that a change concerns")
	}
	return w.wake(names)
}

func (w wakes) wake(names []types.NamespacedName) []reconcile.Request {
	requests := make([]reconcile.Request, 0, len(names))
	for _, key := range names {
		w.memory.backoff.End(key)
		requests = append(requests, reconcile.Request{NamespacedName: key})
	}
	return requests
}

func (w wakes) everyClient(context.Context, client.Object) []reconcile.Request {
	return w.wake(w.informers.Names(&v1alpha1.OAuth2Client{}))
}

// clientsOfConfigMap finds the client of a ConfigMap, or every client if it is the one with the CA.
func (w wakes) clientsOfConfigMap(ctx context.Context, o client.Object) []reconcile.Request {
	if client.ObjectKeyFromObject(o) == w.caBundle {
		return w.everyClient(ctx, o)
	}
	return w.clientsOfSecret(ctx, o)
}

// clientsOfNamespace finds the clients of a namespace, and those that chose a client_id as these
// have.
func (w wakes) clientsOfNamespace(ctx context.Context, o client.Object) []reconcile.Request {
	return append(w.list(ctx, client.InNamespace(o.GetName())), w.indexed(ctx, indexByReserved, "", o.GetName())...)
}

func (w wakes) clientsOfResource(ctx context.Context, o client.Object) []reconcile.Request {
	return w.clientsThatAsk(ctx, oauth2.ObjectName{Namespace: o.GetNamespace(), Name: o.GetName()})
}

func (w wakes) clientsThatAsk(ctx context.Context, name oauth2.ObjectName) []reconcile.Request {
	return w.indexed(ctx, policy.IndexByAccess, "", policy.Key(name))
}

// afterDeletion forgets a deleted client, and wakes those that wait for its client_id. The room
// that it leaves is given away once a burst of deletions.
func (w wakes) afterDeletion(_ context.Context, e event.DeleteEvent, q workqueue.TypedRateLimitingInterface[reconcile.Request]) {
	w.memory.forget(e.Object)
	w.usage.Absent(string(e.Object.GetUID()))
	w.waiting.Expect(client.ObjectKeyFromObject(e.Object), poll.Object{})
	w.room.Done(kind, client.ObjectKeyFromObject(e.Object))
	for _, request := range w.wake(w.memory.waiters.Deleted(client.ObjectKeyFromObject(e.Object))) {
		q.Add(request)
	}
	w.deletions.Note(e.Object.GetNamespace(), q)
}

// clientsOfSecret finds the client that a Secret belongs to: by annotation, because backup tools
// strip owner references, or by its owner reference if it was stripped of the annotation. The
// record of a resource concerns every client that asks for it.
func (w wakes) clientsOfSecret(ctx context.Context, o client.Object) []reconcile.Request {
	annotations := o.GetAnnotations()
	owner := types.NamespacedName{Namespace: o.GetNamespace(), Name: output.NameOfOwner(o, v1alpha1.AnnotationClient)}
	if o.GetNamespace() == w.registryNamespace {
		if resource := annotations[v1alpha1.AnnotationResource]; resource != "" {
			return w.clientsThatAsk(ctx, oauth2.ObjectName{Namespace: annotations[v1alpha1.AnnotationResourceNamespace], Name: resource})
		}
		owner.Namespace = annotations[v1alpha1.AnnotationClientNamespace]
	}
	if owner.Name == "" {
		return nil
	}
	return []reconcile.Request{{NamespacedName: owner}}
}

// clientsOfDeclared finds the clients whose specs name a Secret of their own.
func (w wakes) clientsOfDeclared(ctx context.Context, secret *corev1.Secret) []reconcile.Request {
	return w.indexed(ctx, indexByDeclared, secret.Namespace, secret.Name)
}

// clientsOfAccount finds the clients that authenticate as a service account.
func (w wakes) clientsOfAccount(ctx context.Context, account client.Object) []reconcile.Request {
	return w.indexed(ctx, indexByAccount, account.GetNamespace(), account.GetName())
}

// clientsOfKeys finds the clients that ask for an algorithm, and so depend on the keys.
func (w wakes) clientsOfKeys(ctx context.Context, o client.Object) []reconcile.Request {
	if o.GetNamespace() != w.registryNamespace || o.GetName() != registration.KeysSecretName {
		return nil
	}
	return w.indexed(ctx, indexByAlgorithm, "", anyAlgorithm)
}
