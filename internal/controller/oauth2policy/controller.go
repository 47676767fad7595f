// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

// Package oauth2policy reports in the status of each OAuth2Policy how many namespaces it selects
// and whether all of it holds. The reconcilers of clients and resources read policies by
// themselves.
package oauth2policy

import (
	"context"
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/events"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/internal/controller/attempt"
	"github.com/hallpass-dev/hallpass/internal/controller/policy"
	"github.com/hallpass-dev/hallpass/internal/controller/status"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
)

// Reconciler writes the status of OAuth2Policies.
type Reconciler struct {
	Client   client.Client
	Policy   *policy.Source
	Recorder events.EventRecorder

	backoff attempt.Backoff
}

// +kubebuilder:rbac:groups=hallpass.dev,resources=oauth2policies/status,verbs=patch

// Reconcile writes the status of one policy if it differs. After a failure it waits, whatever
// changes in namespaces meanwhile.
func (r *Reconciler) Reconcile(ctx context.Context, object *v1alpha1.OAuth2Policy) (ctrl.Result, error) {
	key, state := client.ObjectKeyFromObject(object), attempt.StateOf(object)
	return r.backoff.Run(key, state, time.Now, func() (ctrl.Result, attempt.State, error) {
		return ctrl.Result{}, state, r.report(ctx, object)
	})
}

func (r *Reconciler) report(ctx context.Context, object *v1alpha1.OAuth2Policy) error {
	selected, err := r.Policy.Namespaces(ctx, object.Spec.NamespaceSelector)
	if err != nil {
		return err
	}
	found := v1alpha1.OAuth2PolicyStatus{
		ObservedGeneration: object.Generation, Namespaces: new(int32(min(len(selected), 1<<30))),
		Conditions: slices.Clone(object.Status.Conditions),
	}
	ready := v1alpha1.PolicyInForce()
	if label := r.Policy.Unprotected(object.Spec.NamespaceSelector); label != "" && permits(&object.Spec) {
		ready = v1alpha1.PolicyUnprotectedLabel(label, r.Policy.ProtectedLabels)
	}
	status.Set(&found.Conditions, object.Generation, v1alpha1.ConditionReady, &ready)
	before := meta.FindStatusCondition(object.Status.Conditions, v1alpha1.ConditionReady)
	written, err := status.Patch(ctx, r.Client, object, &object.Status, found)
	if written && ready.Status == metav1.ConditionFalse && (before == nil || before.Reason != ready.Reason || before.ObservedGeneration != object.Generation) {
		r.Recorder.Eventf(object, nil, corev1.EventTypeWarning, ready.Reason, "Reconcile", "%s", ready.Message)
	}
	return err
}

// permits reports whether a policy permits something that is not allowed without one.
func permits(spec *v1alpha1.OAuth2PolicySpec) bool {
	return len(spec.ClientIDs) > 0 || len(spec.RedirectURIs) > 0 || len(spec.ResourceIdentifiers) > 0 || len(spec.Claims) > 0 ||
		slices.ContainsFunc(policy.Texts(spec.AuthenticationMethods), oauth2.NeedsPolicy) || slices.ContainsFunc(policy.Texts(spec.GrantTypes), oauth2.NeedsPolicy) ||
		spec.MaxRefreshLifetime.Or(0) > oauth2.DefaultRefreshLifetime
}

// SetupWithManager sets up what wakes the controller.
func (r *Reconciler) SetupWithManager(mgr ctrl.Manager) error {
	err := ctrl.NewControllerManagedBy(mgr).
		Named("oauth2policy").
		For(&v1alpha1.OAuth2Policy{}).
		WatchesMetadata(policy.NamespaceMetadata(), handler.EnqueueRequestsFromMapFunc(r.everyPolicy), builder.WithPredicates(predicate.LabelChangedPredicate{})).
		WithOptions(controller.Options{RateLimiter: attempt.RateLimiter()}).
		Complete(reconcile.AsReconciler(mgr.GetClient(), r))
	if err != nil {
		return fmt.Errorf("set up the OAuth2Policy controller: %w", err)
	}
	return nil
}

func (r *Reconciler) everyPolicy(ctx context.Context, _ client.Object) []reconcile.Request {
	var policies v1alpha1.OAuth2PolicyList
	if err := r.Client.List(ctx, &policies); err != nil {
		ctrl.LoggerFrom(ctx).Error(err, "cannot list the policies that a namespace concerns")
		return nil
	}
	requests := make([]reconcile.Request, 0, len(policies.Items))
	for i := range policies.Items {
		requests = append(requests, reconcile.Request{NamespacedName: client.ObjectKeyFromObject(&policies.Items[i])})
	}
	return requests
}
