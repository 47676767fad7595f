// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package oauth2client

import (
	"context"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
)

// clientAccount is the service account that a client authenticates as: its UID, and whether other
// clients name it.
type clientAccount struct {
	uid    string
	shared bool
}

// sharers are the other clients that name the service account of a client.
func sharers(informers Names, o client.Object) ([]types.NamespacedName, error) {
	c, ok := o.(*v1alpha1.OAuth2Client)
	if !ok || c.Spec.Authentication.ServiceAccount.Name == "" {
		return nil, nil
	}
	names, err := informers.Indexed(c, indexByAccount, c.Namespace, c.Spec.Authentication.ServiceAccount.Name)
	own := client.ObjectKeyFromObject(c)
	return slices.DeleteFunc(names, func(name types.NamespacedName) bool { return name == own }), err
}

// seeAccount finds out whether other clients name the service account of the client.
func seeAccount(informers Names) func(context.Context, *v1alpha1.OAuth2Client, seen) (seen, error) {
	return func(_ context.Context, c *v1alpha1.OAuth2Client, s seen) (seen, error) {
		others, err := sharers(informers, c)
		s.account.shared = len(others) > 0
		return s, err
	}
}

// accountCondition is nil for a client that the token of its service account identifies.
func (s seen) accountCondition(c *v1alpha1.OAuth2Client) *metav1.Condition {
	if !s.account.shared {
		return nil
	}
	return new(v1alpha1.ClientIDNeeded(c.Spec.Authentication.ServiceAccount.Name, c.ClientID()))
}

// sharingAccounts wakes the only other client of a service account when a client comes to name the
// account, or names it no more. If there are several others, their conditions stay as they are. So
// a change wakes at most two clients, however many name one account.
func (w wakes) sharingAccounts() handler.Funcs {
	type queue = workqueue.TypedRateLimitingInterface[reconcile.Request]
	wake := func(ctx context.Context, o client.Object, q queue) {
		others, err := sharers(w.informers, o)
		if err != nil {
			ctrl.LoggerFrom(ctx).Error(err, "cannot find the clients of a ServiceAccount")
		}
		if len(others) == 1 {
			q.Add(w.wake(others)[0])
		}
	}
	return handler.Funcs{
		CreateFunc: func(ctx context.Context, e event.CreateEvent, q queue) {
			if !e.IsInInitialList { // then each of them is reconciled
				wake(ctx, e.Object, q)
			}
		},
		UpdateFunc: func(ctx context.Context, e event.UpdateEvent, q queue) {
			if e.ObjectOld.GetGeneration() != e.ObjectNew.GetGeneration() {
				wake(ctx, e.ObjectOld, q)
				wake(ctx, e.ObjectNew, q)
			}
		},
		DeleteFunc: func(ctx context.Context, e event.DeleteEvent, q queue) { wake(ctx, e.Object, q) },
	}
}
