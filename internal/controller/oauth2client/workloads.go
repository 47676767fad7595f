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

// sharers are the other clients of the namespace that name the workload of a client: its service
// account, or its subject of a trusted issuer.
func sharers(informers Names, o client.Object) ([]types.NamespacedName, error) {
	c, ok := o.(*v1alpha1.OAuth2Client)
	if !ok || workloadOf(c) == "" {
		return nil, nil
	}
	names, err := informers.Indexed(c, indexByWorkload, c.Namespace, workloadOf(c))
	own := client.ObjectKeyFromObject(c)
	return slices.DeleteFunc(names, func(name types.NamespacedName) bool { return name == own }), err
}

// indexByWorkload finds the clients that a workload authenticates.
const indexByWorkload = "spec.authentication.workload"

// workloadOf is the value of indexByWorkload: no name has a colon, and the subject comes last.
func workloadOf(c *v1alpha1.OAuth2Client) string {
	authentication := c.Spec.Authentication
	switch federated := authentication.FederatedToken; {
	case authentication.ServiceAccount.Name != "":
		return "account:" + authentication.ServiceAccount.Name
	case federated.Subject != "":
		return "subject:" + federated.IssuerName + ":" + federated.Subject
	}
	return ""
}

// seeShared finds out whether other clients name the workload of the client.
func seeShared(informers Names) func(context.Context, *v1alpha1.OAuth2Client, seen) (seen, error) {
	return func(_ context.Context, c *v1alpha1.OAuth2Client, s seen) (seen, error) {
		others, err := sharers(informers, c)
		s.shared = len(others) > 0
		return s, err
	}
}

// sharedCondition is nil for a client that its workload identifies.
func (s seen) sharedCondition(c *v1alpha1.OAuth2Client) *metav1.Condition {
	switch name := c.Spec.Authentication.ServiceAccount.Name; {
	case !s.shared:
		return nil
	case name == "":
		return new(v1alpha1.SubjectShared(c.ClientID()))
	default:
		return new(v1alpha1.ClientIDNeeded(name, c.ClientID()))
	}
}

// sharingWorkloads wakes the only other client of a workload when a client comes to name the
// workload, or names it no more. If there are several others, their conditions stay as they are. So
// a change wakes at most two clients, however many name one workload.
func (w wakes) sharingWorkloads() handler.Funcs {
	type queue = workqueue.TypedRateLimitingInterface[reconcile.Request]
	wake := func(ctx context.Context, o client.Object, q queue) {
		others, err := sharers(w.informers, o)
		if err != nil {
			ctrl.LoggerFrom(ctx).Error(err, "cannot find the other clients of a workload")
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
