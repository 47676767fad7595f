// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package oauth2client

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/internal/controller/publish"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
	"github.com/hallpass-dev/hallpass/internal/registration"
	"github.com/hallpass-dev/hallpass/internal/revocation"
)

// reasonCollapsed is the reason of the event about revocations that became an instant.
const reasonCollapsed = v1alpha1.ConditionRevocationsCollapsed

// indexByCollapsed finds the selectors that token servers wrote in the place of single revocations:
// by client_id, or by namespace.
const indexByCollapsed = "hallpass.dev/collapsed"

func collapsedClient(clientID string) string     { return "client " + clientID }
func collapsedNamespace(namespace string) string { return "namespace " + namespace }

// collapsedBy returns the selector of a TokenRevocation if a token server wrote it in the place of
// single revocations.
func collapsedBy(o client.Object) (selector revocation.Selector, ok bool) {
	object, ok := o.(*v1alpha1.TokenRevocation)
	if !ok {
		return selector, false
	}
	read := revocation.ReadSelector(object)
	if read == nil || !read.Collapses {
		return selector, false
	}
	return *read, true
}

func indexedCollapsed(o client.Object) []string {
	switch selector, ok := collapsedBy(o); {
	case !ok:
		return nil
	case selector.ClientID != "":
		return []string{collapsedClient(selector.ClientID)}
	default:
		return []string{collapsedNamespace(selector.Namespace)}
	}
}

// seeCollapsed reads the instant that took the place of single revocations of the client.
func (r *Reconciler) seeCollapsed(ctx context.Context, c *v1alpha1.OAuth2Client, s seen) (seen, error) {
	for _, value := range []string{collapsedClient(c.ClientID()), collapsedNamespace(c.Namespace)} {
		var found v1alpha1.TokenRevocationList
		err := r.Client.List(ctx, &found, client.InNamespace(r.RegistryNamespace), client.MatchingFields{indexByCollapsed: value}, client.UnsafeDisableDeepCopy)
		if err != nil {
			return s, fmt.Errorf("read the collapsed revocations of OAuth2Client %s/%s: %w", c.Namespace, c.Name, err)
		}
		for i := range found.Items {
			selector, _ := collapsedBy(&found.Items[i])
			s.collapsed = oauth2.Later(s.collapsed, selector.IssuedBefore)
		}
	}
	return s, nil
}

// collapsedCondition is nil for a client whose single revocations are all stored.
func (s seen) collapsedCondition() *metav1.Condition {
	if s.collapsed.IsZero() {
		return nil
	}
	return new(v1alpha1.RevocationsCollapsed())
}

// announceCollapsed emits an event when the condition begins, and none for the selectors that
// follow.
func (r *Reconciler) announceCollapsed(c *v1alpha1.OAuth2Client, s seen) {
	if !s.collapsed.IsZero() && !meta.IsStatusConditionTrue(c.Status.Conditions, v1alpha1.ConditionRevocationsCollapsed) {
		r.Recorder.Eventf(c, nil, corev1.EventTypeWarning, reasonCollapsed, "Collapse",
			"Revoked all tokens that were issued before %s, because more were revoked one by one than are stored one by one", s.collapsed.UTC().Format(time.RFC3339))
	}
}

// clientsOfCollapsed finds the clients whose single revocations a token server collapsed.
func (w wakes) clientsOfCollapsed(ctx context.Context, o client.Object) []reconcile.Request {
	selector, ok := collapsedBy(o)
	if !ok || o.GetNamespace() != w.registryNamespace {
		return nil
	}
	if selector.Namespace != "" {
		return w.list(ctx, client.InNamespace(selector.Namespace))
	}
	record, err := publish.Read(ctx, w.client, types.NamespacedName{Namespace: w.registryNamespace, Name: registration.SecretName(selector.ClientID)})
	if err != nil {
		ctrl.LoggerFrom(ctx).Error(err, "cannot find the client whose revocations were collapsed")
	}
	if record == nil {
		return nil
	}
	return w.clientsOfSecret(ctx, record)
}
