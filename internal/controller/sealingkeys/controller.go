// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

// Package sealingkeys keeps the keys by which the state of logins is sealed: tickets, authorization
// codes and refresh tokens. They are in one Secret of the registry namespace, which the token
// servers read. Where people do not log in there are none.
package sealingkeys

import (
	"context"
	"errors"
	"io"
	"sync"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"

	"github.com/hallpass-dev/hallpass/internal/apiclock"
	"github.com/hallpass-dev/hallpass/internal/controller/keysecret"
	"github.com/hallpass-dev/hallpass/internal/registration"
	"github.com/hallpass-dev/hallpass/internal/seal"
)

// Reconciler keeps the sealing keys.
type Reconciler struct {
	// Client writes, and its cache wakes the controller.
	Client client.Client
	// Live reads from the API server itself.
	Live client.Reader
	// Time is the present time, as the responses to what was read let it be known.
	Time              func() apiclock.Time
	RegistryNamespace string
	// Random makes the keys.
	Random io.Reader
	// Audit gets a line for each key that is made or deleted.
	Audit logr.Logger

	// held is the last ring that was read or written here. There is one worker.
	held seal.Ring
	// unanswered is the last write of the ring.
	unanswered keysecret.Unanswered

	mu sync.Mutex
	// restored is when a restore of the store was noticed that the ring does not have yet.
	restored time.Time
	wake     workqueue.TypedRateLimitingInterface[reconcile.Request]
}

// Restored records that the store was restored from a backup just now: grants that were begun until
// then are over, because it is forgotten what they had used up. A manager that stands by remembers
// it for when it works.
func (r *Reconciler) Restored() {
	at := r.Time().Earliest
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.restored = at; r.wake != nil {
		r.wake.Add(r.request())
	}
}

func (r *Reconciler) noticed() time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.restored
}

func (r *Reconciler) store() keysecret.Store {
	return keysecret.Store{Client: r.Client, Live: r.Live, Namespace: r.RegistryNamespace, Type: registration.SealingSecretType, Of: "sealing keys"}
}

// Reconcile moves the ring on to now. The Secret may have been deleted, or be from a backup: what
// this manager has held is merged with it. A ring that cannot be read, or that a newer version
// wrote, is left alone: token servers hold the last good one.
func (r *Reconciler) Reconcile(ctx context.Context, _ ctrl.Request) (ctrl.Result, error) {
	secret, err := r.store().Read(ctx, registration.SealingSecretName)
	if err != nil {
		return ctrl.Result{}, err
	}
	if err := registration.CheckWrite(secret.Data); err != nil {
		ctrl.LoggerFrom(ctx).Info("a newer version wrote the sealing keys: none is rotated until a manager of that version runs", "reason", err.Error())
		return ctrl.Result{}, nil
	}
	r.unanswered.Read(secret)
	read := seal.Ring{}
	if secret.ResourceVersion != "" {
		if read, err = registration.DecodeSealing(secret.Data); errors.Is(err, seal.ErrUnreadable) {
			ctrl.LoggerFrom(ctx).Error(err, "cannot read the sealing keys; token servers continue with those they hold. "+
				"Restore the Secret, or delete it: then all people log in again", "secret", registration.SealingSecretName)
			return ctrl.Result{}, nil
		}
	}
	now := r.Time()
	ring, _, err := seal.Merge(r.held, read, now.Past()).WithRestored(r.noticed()).Rotate(now.Earliest, now.Past(), r.Random)
	if err != nil {
		return ctrl.Result{}, err
	}
	if !ring.Same(read) {
		data, err := registration.EncodeSealing(ring)
		if err != nil {
			return ctrl.Result{}, err
		}
		err = r.store().Write(ctx, secret, data)
		r.unanswered.Written(data, err, func() { r.audit(read, ring) })
		if err != nil {
			return ctrl.Result{}, err
		}
	}
	r.held = ring
	return ctrl.Result{RequeueAfter: keysecret.Pause(ring.Due(), now)}, nil
}

// audit writes a line for each key that is new in the Secret, or was deleted from it.
func (r *Reconciler) audit(before, after seal.Ring) {
	line := func(change string, key *seal.Key, at time.Time) {
		r.Audit.Info("sealing key", "change", change, "kid", key.ID(), "at", at.UTC().Format(time.RFC3339))
	}
	for _, key := range after.Keys() {
		if !before.Has(key) {
			line("published", key, key.ActiveAt)
		}
	}
	for _, key := range before.Keys() {
		if !after.Has(key) {
			line("gone", key, key.GoneAt)
		}
	}
}

func (r *Reconciler) request() reconcile.Request {
	return reconcile.Request{NamespacedName: types.NamespacedName{Namespace: r.RegistryNamespace, Name: registration.SealingSecretName}}
}

// SetupWithManager sets up what wakes the controller.
func (r *Reconciler) SetupWithManager(mgr ctrl.Manager) error {
	restores := source.Func(func(_ context.Context, queue workqueue.TypedRateLimitingInterface[reconcile.Request]) error {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.wake = queue
		return nil
	})
	return keysecret.SetUp(mgr, "sealingkeys", r.RegistryNamespace, []string{registration.SealingSecretName}, r, restores)
}
