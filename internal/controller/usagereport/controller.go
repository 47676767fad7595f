// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

// Package usagereport reads what the replicas of the token server report about the use of clients,
// merges it, and updates the status of a few clients a second. It writes no status itself: one
// controller writes that of a client, and is woken when there is something to add. The reports are
// less trusted than the manager: at worst they lie about use.
package usagereport

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	toolscache "k8s.io/client-go/tools/cache"
	"k8s.io/client-go/util/workqueue"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/internal/apiclock"
	"github.com/hallpass-dev/hallpass/internal/controller/attempt"
	"github.com/hallpass-dev/hallpass/internal/controller/output"
	"github.com/hallpass-dev/hallpass/internal/usage"
	"github.com/hallpass-dev/hallpass/internal/wire"
)

const (
	// DefaultRefresh is how often the status of a client in constant use is written.
	DefaultRefresh = 10 * time.Minute
	// writesPerSecond bounds the statuses and events about use. Replicas write four reports a
	// minute each, so that up to seventy-five of them stay with these below twenty writes a
	// second.
	writesPerSecond = 15
	// keepStopped is how long the report of a stopped replica is kept, keepSilent that of a
	// silent one. They are needed for as long as a secret must have been unused, a week at
	// most.
	keepStopped = 8 * 24 * time.Hour
	keepSilent  = 10 * 24 * time.Hour
)

// Reconciler merges reports and removes those that contain nothing new any more.
type Reconciler struct {
	// Client reads from the cache and deletes reports.
	Client client.Client
	Clock  clock.PassiveClock
	// Ledger is the content of the reports.
	Ledger            *Ledger
	RegistryNamespace string
	// Clients and Tokens get each OAuth2Client and OAuth2Token whose status has something to
	// add.
	Clients, Tokens chan<- event.GenericEvent

	clients, tokens subjects

	// What is below belongs to the one worker: the Secret with the replicas on record, whether
	// it was read, and whether a newer version wrote it, so that it stays as it is.
	record          *corev1.Secret
	loaded, isNewer bool
}

// Reports are written by the token server; the manager removes old ones.
//
// +kubebuilder:rbac:namespace=hallpass-registry,groups=hallpass.dev,resources=usagereports,verbs=list;watch;delete

// reconcileNamed takes in the report of a name. Of one that was deleted it forgets the refusals:
// they are no evidence. That its replica may use what it used is recorded.
func (r *Reconciler) reconcileNamed(ctx context.Context, request ctrl.Request) (ctrl.Result, error) {
	if !r.clients.await(ctx) || !r.tokens.await(ctx) { // until then objects are of no namespace
		return ctrl.Result{}, nil
	}
	if request.NamespacedName == r.recordKey() {
		if err := r.restoreRecord(ctx); err != nil {
			return ctrl.Result{}, err
		}
	}
	var report v1alpha1.UsageReport
	switch err := r.Client.Get(ctx, request.NamespacedName, &report); {
	case apierrors.IsNotFound(err):
		r.Ledger.Refusals.forget(request.Name)
		return ctrl.Result{}, r.remember(ctx, nil)
	case err != nil:
		return ctrl.Result{}, fmt.Errorf("read usage report %s: %w", request.Name, err)
	}
	return r.Reconcile(ctx, &report)
}

// Reconcile takes in one report. It may see the same one again: merging never goes back.
func (r *Reconciler) Reconcile(ctx context.Context, report *v1alpha1.UsageReport) (ctrl.Result, error) {
	log := ctrl.LoggerFrom(ctx)
	whole := false
	version, minReader := report.Spec.Form()
	entries, losses, err := usage.Read(wire.Form{Version: version, MinReader: minReader}, report.Spec.Uses)
	if err != nil {
		log.Error(err, "cannot read a usage report; its uses are not known")
	} else if refused := r.Ledger.merge(entries); refused > 0 {
		log.Info("a usage report names more objects than are remembered", "refused", refused)
	} else {
		whole = true
	}
	r.mergeRefusals(ctx, report)
	if err := r.remember(ctx, report); err != nil {
		return ctrl.Result{}, err
	}
	r.Ledger.take(report, losses, whole)
	last, err := r.lastWrite(ctx, report)
	if err != nil {
		return ctrl.Result{}, err
	}
	now := apiclock.TimeOf(r.Clock)
	if left := last.Add(kept(report)).Sub(now.Earliest); left > 0 {
		return ctrl.Result{RequeueAfter: left}, nil
	}
	if !now.Agreed { // a report is evidence, and would be lost
		return ctrl.Result{RequeueAfter: apiclock.Apart}, nil
	}
	if err := output.Delete(ctx, r.Client, report); err != nil {
		return ctrl.Result{}, err
	}
	r.Ledger.forget(report)
	r.Ledger.Refusals.forget(report.Name)
	return ctrl.Result{}, nil // the deletion has it taken off the record
}

// mergeRefusals adds the refusals of a report. Whatever is wrong with that, the uses count.
func (r *Reconciler) mergeRefusals(ctx context.Context, report *v1alpha1.UsageReport) {
	var refusals []usage.Refusal
	if len(report.Spec.Refusals) > 0 {
		var err error
		if refusals, err = usage.DecodeRefusals(report.Spec.Refusals); err != nil {
			ctrl.LoggerFrom(ctx).Error(err, "cannot read the refusals of a usage report; they are not reported")
			return
		}
	}
	if n := r.Ledger.Refusals.merge(report.Name, refusals); n > 0 {
		ctrl.LoggerFrom(ctx).Info("more clients are refused than are remembered; the namespaces with the most lose some", "forgotten", n)
	}
}

// kept is how long a report is evidence after its last write.
func kept(report *v1alpha1.UsageReport) time.Duration {
	if report.Spec.State == v1alpha1.UsageStopped {
		return keepStopped
	}
	return max(keepSilent, keepStopped+time.Duration(report.Spec.MaxStalenessSeconds)*time.Second)
}

// lastWrite is when the replica of a report last wrote, by the first part of the report.
func (r *Reconciler) lastWrite(ctx context.Context, report *v1alpha1.UsageReport) (time.Time, error) {
	if report.Name != report.Spec.Replica {
		var first v1alpha1.UsageReport
		switch err := r.Client.Get(ctx, types.NamespacedName{Namespace: report.Namespace, Name: report.Spec.Replica}, &first); {
		case err == nil:
			report = &first
		case !apierrors.IsNotFound(err):
			return time.Time{}, fmt.Errorf("read usage report %s: %w", report.Spec.Replica, err)
		}
	}
	instants := []time.Time{report.CreationTimestamp.Time, report.Spec.CoveredUntil.Time}
	last := slices.MaxFunc(instants, time.Time.Compare)
	return slices.MinFunc([]time.Time{last, r.Clock.Now()}, time.Time.Compare), nil
}

// namespaceOf returns the namespace of an object, empty if there is none.
func (r *Reconciler) namespaceOf(key usage.Key) string {
	name, there := r.clients.find(key)
	if !there {
		name, _ = r.tokens.find(key)
	}
	return name.Namespace
}

// SetupWithManager sets up what wakes the controller.
func (r *Reconciler) SetupWithManager(mgr ctrl.Manager) error {
	if err := errors.Join(r.clients.watch(mgr.GetCache(), &v1alpha1.OAuth2Client{}), r.tokens.watch(mgr.GetCache(), &v1alpha1.OAuth2Token{})); err != nil {
		return err
	}
	r.Ledger.watchNamespaces(r.namespaceOf)
	r.Ledger.awaitRecord()
	if err := mgr.Add(r); err != nil {
		return fmt.Errorf("start reporting the use of clients: %w", err)
	}
	if err := mgr.Add(manager.RunnableFunc(r.tellRefusals)); err != nil {
		return fmt.Errorf("start reporting what was refused to clients: %w", err)
	}
	err := ctrl.NewControllerManagedBy(mgr).
		Named("usagereport").
		// One replica writes one every fifteen seconds at the most.
		For(&v1alpha1.UsageReport{}, builder.WithPredicates(predicate.GenerationChangedPredicate{})).
		// The replicas on record are read at the start, also where no replica reports.
		WatchesRawSource(source.Func(func(_ context.Context, queue workqueue.TypedRateLimitingInterface[reconcile.Request]) error {
			queue.Add(reconcile.Request{NamespacedName: r.recordKey()})
			return nil
		})).
		// Their Secret is written again if it is deleted.
		Watches(&corev1.Secret{}, &handler.EnqueueRequestForObject{}, builder.WithPredicates(r.recordDeletions())).
		WithOptions(controller.Options{RateLimiter: attempt.RateLimiter()}).
		Complete(reconcile.Func(r.reconcileNamed))
	if err != nil {
		return fmt.Errorf("set up the UsageReport controller: %w", err)
	}
	return nil
}

// Start updates the status of one object after the other, writesPerSecond writes at the most, until
// the context ends.
func (r *Reconciler) Start(ctx context.Context) error {
	if !toolscache.WaitForCacheSync(ctx.Done(), r.clients.synced, r.tokens.synced) {
		return nil // the manager stops
	}
	for ctx.Err() == nil {
		key, seen, wait, due := r.Ledger.next()
		woken := r.Ledger.woken
		if due {
			writes, err := r.tell(ctx, key, seen)
			if err != nil {
				ctrl.LoggerFrom(ctx).Error(err, "cannot report the use of a client")
			}
			wait, woken = pause(writes, writesPerSecond), nil // at most at this rate
		}
		select {
		case <-ctx.Done():
		case <-time.After(wait):
		case <-woken:
		}
	}
	return nil
}

// pause is how long to wait after writes, so that there are at most perSecond in a second.
func pause(writes, perSecond int) time.Duration {
	second := time.Second + time.Duration(perSecond-1) // rounded up
	return time.Duration(writes) * (second / time.Duration(perSecond))
}

// tell updates the status of an object with what was seen, if that is more than it has. It returns
// how many writes that takes: one, and one for the events. An object may be gone, or made up by the
// report.
func (r *Reconciler) tell(ctx context.Context, key usage.Key, seen usage.Seen) (writes int, err error) {
	r.Ledger.tell(key, seen)
	exists := false
	for _, kind := range []struct {
		subjects *subjects
		object   client.Object
		woken    chan<- event.GenericEvent
	}{
		{&r.clients, &v1alpha1.OAuth2Client{}, r.Clients}, {&r.tokens, &v1alpha1.OAuth2Token{}, r.Tokens},
	} {
		name, there := kind.subjects.find(key)
		if !there {
			continue
		}
		err := r.Client.Get(ctx, name, kind.object)
		if apierrors.IsNotFound(err) {
			continue
		}
		if err != nil {
			return 1, fmt.Errorf("read %T %s: %w", kind.object, name, err)
		}
		exists = true
		writes += wake(ctx, kind.woken, kind.object, seen)
	}
	r.Ledger.exists(key, exists)
	return writes, nil
}

// wake has an object reconciled whose status has something to add.
func wake(ctx context.Context, woken chan<- event.GenericEvent, object client.Object, seen usage.Seen) (writes int) {
	more, news := saysMore(object, seen)
	if !more {
		return 0
	}
	select {
	case woken <- event.GenericEvent{Object: object}:
	case <-ctx.Done():
	}
	if news {
		return 2
	}
	return 1
}
