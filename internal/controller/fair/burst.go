// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package fair

import (
	"context"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"
)

// Gather is how long an event in a namespace waits for others.
const Gather = 500 * time.Millisecond

// Burst looks once for what many events in a namespace concern together, such as those that wait
// for the room that deleted objects leave. To handle each event would take time by the square of
// their number.
type Burst struct {
	find  func(ctx context.Context, namespace string) ([]types.NamespacedName, error)
	woken chan event.GenericEvent
}

// NewBurst returns a Burst that wakes what find returns for a namespace.
func NewBurst(find func(ctx context.Context, namespace string) ([]types.NamespacedName, error)) Burst {
	return Burst{find, make(chan event.GenericEvent)}
}

// look is the request to reconcile a namespace. It is in the queue of the controller, and no object
// has its name.
func look(namespace string) reconcile.Request {
	return reconcile.Request{NamespacedName: types.NamespacedName{Namespace: namespace}}
}

// Note takes part in the burst of a namespace.
func (b Burst) Note(namespace string, q workqueue.TypedRateLimitingInterface[reconcile.Request]) {
	q.AddAfter(look(namespace), Gather)
}

// Source wakes what was found; a controller watches it.
func (b Burst) Source() source.Source {
	return source.Channel(b.woken, &handler.EnqueueRequestForObject{})
}

// Before handles namespaces, and has all other requests reconciled.
func (b Burst) Before(objects reconcile.Reconciler) reconcile.Reconciler {
	return reconcile.Func(func(ctx context.Context, request reconcile.Request) (ctrl.Result, error) {
		if request != look(request.Namespace) {
			return objects.Reconcile(ctx, request)
		}
		found, err := b.find(ctx, request.Namespace)
		for _, name := range found {
			object := &metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{Namespace: name.Namespace, Name: name.Name}}
			select {
			case b.woken <- event.GenericEvent{Object: object}:
			case <-ctx.Done():
				return ctrl.Result{}, nil
			}
		}
		return ctrl.Result{}, err
	})
}
