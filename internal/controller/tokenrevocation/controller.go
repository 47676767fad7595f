// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

// Package tokenrevocation keeps the TokenRevocations few: it merges the small batches that token
// servers write several times a second into bigger ones, and deletes those that revoke only tokens
// that have expired, and redemptions of codes that have expired. Besides it, only a cluster
// administrator deletes one.
package tokenrevocation

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/selection"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/internal/apiclock"
	"github.com/hallpass-dev/hallpass/internal/controller/attempt"
	"github.com/hallpass-dev/hallpass/internal/revocation"
)

const (
	// gather is how long after a batch was written others are waited for: what comes in between
	// is merged at once.
	gather = 5 * time.Second
	// lookAgain bounds how long the controller trusts its sleep: clocks are set, and machines
	// suspended.
	lookAgain = 10 * time.Minute
	// deleteAtOnce is how many one request deletes; their names are in its URL.
	deleteAtOnce = 100
)

// Reconciler merges and deletes TokenRevocations.
type Reconciler struct {
	// Client reads from the cache and writes; Live reads from the API server itself.
	Client client.Client
	Live   client.Reader
	Clock  clock.PassiveClock
	// Time is the present time as far as it is known.
	Time              func() apiclock.Time
	RegistryNamespace string
	// Lifetime is the longest that any token lives.
	Lifetime time.Duration

	// What is below belongs to the one worker.
	backoff attempt.Backoff
	// merged are the objects of a bigger batch that is there, which could not be deleted yet.
	merged []v1alpha1.TokenRevocation
}

// everything is the one request that there is.
var everything = types.NamespacedName{Name: "all"} //nolint:gochecknoglobals // a constant

// +kubebuilder:rbac:namespace=hallpass-registry,groups=hallpass.dev,resources=tokenrevocations,verbs=get;list;watch;create;delete;deletecollection

// Reconcile looks through all TokenRevocations. After a failure it waits whatever token servers
// write meanwhile.
func (r *Reconciler) Reconcile(ctx context.Context, _ ctrl.Request) (ctrl.Result, error) {
	return r.backoff.Run(everything, attempt.State{}, r.Clock.Now, func() (ctrl.Result, attempt.State, error) {
		result, err := r.attempt(ctx)
		return result, attempt.State{}, err
	})
}

// attempt merges and deletes. It may end at any point and run twice at once: a bigger batch exists
// before the batches that it merges are deleted, and its name is derived from theirs.
func (r *Reconciler) attempt(ctx context.Context) (ctrl.Result, error) {
	if err := r.removeMerged(ctx); err != nil {
		return ctrl.Result{}, err
	}
	var all v1alpha1.TokenRevocationList
	if err := r.Client.List(ctx, &all, client.InNamespace(r.RegistryNamespace)); err != nil {
		return ctrl.Result{}, fmt.Errorf("list the TokenRevocations: %w", err)
	}
	now := r.Time()
	todo := decide(all.Items, r.Lifetime, now.Past())
	for _, m := range todo.merges {
		if err := r.ensureMerged(ctx, m); err != nil {
			return ctrl.Result{}, err
		}
		r.merged = m.from
		if err := r.removeMerged(ctx); err != nil {
			return ctrl.Result{}, err
		}
		ctrl.LoggerFrom(ctx).V(1).Info("merged revocations", "batches", len(m.from), "entries", m.batch.Len())
	}
	if err := r.remove(ctx, slices.Concat(todo.superseded, todo.expired)); err != nil {
		return ctrl.Result{}, err
	}
	switch {
	case todo.next.IsZero():
		return ctrl.Result{}, nil
	case !now.Agreed: // what has expired waits for the clocks to agree
		return ctrl.Result{RequeueAfter: apiclock.Apart}, nil
	}
	return ctrl.Result{RequeueAfter: min(todo.next.Sub(now.Earliest)+time.Second, lookAgain)}, nil
}

var errOtherContents = errors.New("there is a TokenRevocation of that name with other contents; delete it")

// ensureMerged makes a bigger batch, and returns without an error only if it is there.
func (r *Reconciler) ensureMerged(ctx context.Context, m merge) error {
	wanted := v1alpha1.NewTokenRevocation(r.RegistryNamespace, m.name(), v1alpha1.NewRevocationBatch(m.batch.Encode()))
	wanted.SetGenerations(m.batch.EncodeGenerations(), revocation.Version, revocation.OldestReader)
	err := r.Client.Create(ctx, wanted)
	if apierrors.IsAlreadyExists(err) { // made by a manager that ended then, or by another one
		var there v1alpha1.TokenRevocation
		err = r.Live.Get(ctx, client.ObjectKeyFromObject(wanted), &there)
		found, want := there.Spec.Batch, wanted.Spec.Batch
		if err == nil && (found.Tokens != want.Tokens || found.Assertions != want.Assertions || found.Generations != want.Generations) {
			err = errOtherContents
		}
	}
	if err != nil {
		return fmt.Errorf("merge %d batches of revocations into %s: %w", len(m.from), wanted.Name, err)
	}
	return nil
}

// removeMerged deletes what a bigger batch is made of. Until then nothing else is merged: with the
// bigger batch it would make yet another one each time.
func (r *Reconciler) removeMerged(ctx context.Context) error {
	if err := r.remove(ctx, r.merged); err != nil {
		return err
	}
	r.merged = nil
	return nil
}

// remove deletes TokenRevocations, those that are labelled with their name many at once.
func (r *Reconciler) remove(ctx context.Context, objects []v1alpha1.TokenRevocation) error {
	var labelled []string
	for i := range objects {
		o := &objects[i]
		if o.Labels[v1alpha1.LabelRevocationBatch] == o.Name {
			labelled = append(labelled, o.Name)
			continue
		}
		if err := r.Client.Delete(ctx, o, client.Preconditions{UID: &o.UID}); client.IgnoreNotFound(err) != nil {
			return fmt.Errorf("delete TokenRevocation %s: %w", o.Name, err)
		}
	}
	for names := range slices.Chunk(labelled, deleteAtOnce) {
		named, err := labels.NewRequirement(v1alpha1.LabelRevocationBatch, selection.In, names)
		if err != nil {
			return fmt.Errorf("select %d TokenRevocations: %w", len(names), err)
		}
		err = r.Client.DeleteAllOf(ctx, &v1alpha1.TokenRevocation{}, client.InNamespace(r.RegistryNamespace),
			client.MatchingLabelsSelector{Selector: labels.NewSelector().Add(*named)})
		if err != nil {
			return fmt.Errorf("delete %d TokenRevocations: %w", len(names), err)
		}
	}
	return nil
}

// SetupWithManager sets up what wakes the controller: every new TokenRevocation, after a while.
func (r *Reconciler) SetupWithManager(mgr ctrl.Manager) error {
	err := ctrl.NewControllerManagedBy(mgr).
		Named("tokenrevocation").
		// it never changes, and what is gone needs nothing
		Watches(&v1alpha1.TokenRevocation{}, handler.Funcs{CreateFunc: wakeLater}).
		WithOptions(controller.Options{RateLimiter: attempt.RateLimiter()}).
		Complete(reconcile.Func(r.Reconcile))
	if err != nil {
		return fmt.Errorf("set up the TokenRevocation controller: %w", err)
	}
	return nil
}

// wakeLater adds the one request after a while; all events until then share it.
func wakeLater(_ context.Context, _ event.CreateEvent, q workqueue.TypedRateLimitingInterface[reconcile.Request]) {
	q.AddAfter(reconcile.Request{NamespacedName: everything}, gather)
}
