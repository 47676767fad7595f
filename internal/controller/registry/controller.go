// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

// Package registry empties the records of OAuth2Clients, OAuth2Resources, OAuth2Tokens and
// OAuth2TrustedIssuers that are terminating, and deletes those of owners that are gone. The token
// server refuses a client without its owner by itself; the grants of a resource end with its
// record.
package registry

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/priorityqueue"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/internal/controller/attempt"
	"github.com/hallpass-dev/hallpass/internal/controller/fair"
	"github.com/hallpass-dev/hallpass/internal/controller/output"
	"github.com/hallpass-dev/hallpass/internal/controller/policy"
	"github.com/hallpass-dev/hallpass/internal/controller/publish"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
	"github.com/hallpass-dev/hallpass/internal/registration"
	"github.com/hallpass-dev/hallpass/internal/wire"
)

const (
	workers = 8
	// sweepInterval is how often each record is checked although nothing happened to it.
	sweepInterval = 30 * time.Minute
)

// recordTypes are the types of the records.
var recordTypes = []corev1.SecretType{ //nolint:gochecknoglobals // a constant list
	registration.SecretType, registration.ResourceSecretType, registration.TokenSecretType, registration.IssuerSecretType, registration.KeysSecretType,
	registration.SealingSecretType,
}

// Reconciler removes the records of owners that are gone or terminating.
type Reconciler struct {
	// Client reads from the cache and writes; Live reads from the API server itself.
	Client            client.Client
	Live              client.Reader
	Policy            *policy.Source
	RegistryNamespace string
	// Names finds the records in the cache.
	Names Names
	// Audit gets a line for each client secret and each token that ends with its owner.
	Audit logr.Logger

	newer newer
	ends  ends
}

// Names finds the names of objects in the cache.
type Names interface {
	Names(like client.Object) []types.NamespacedName
}

// Newer is how many records a newer version wrote. This one does not write over them.
func (r *Reconciler) Newer() int { return r.newer.count() }

// owner is whose a record is.
type owner struct {
	types.NamespacedName

	kind string
	// object is an empty object of the kind.
	object client.Object
	uid    string
	// emptied renders what of the record remains while the owner is terminating.
	emptied func() (map[string][]byte, error)
	// clientID is that of the client. field is what audit lines call its credentials that are
	// accepted, and ids are their ids.
	clientID, field string
	ids             []string
}

// ownerOf reads whose record it is.
func ownerOf(stored *corev1.Secret) (owner, error) {
	switch stored.Type {
	case registration.ResourceSecretType:
		return ownerOfResource(stored)
	case registration.TokenSecretType:
		return ownerOfToken(stored)
	case registration.IssuerSecretType:
		return ownerOfIssuer(stored)
	}
	r, err := registration.Decode(stored.Data)
	emptied := registration.Registration{Client: r.Client.Emptied()}
	of := owner{
		NamespacedName: types.NamespacedName{Namespace: r.Client.Namespace, Name: r.Client.Name}, kind: "OAuth2Client", object: &v1alpha1.OAuth2Client{},
		uid: r.Client.UID, clientID: r.Client.ID, field: "credential",
		emptied: func() (map[string][]byte, error) { return registration.Encode(emptied) },
	}
	for _, v := range r.Client.Credentials.Verifiers {
		if !v.Pending {
			of.ids = append(of.ids, v.ID)
		}
	}
	return of, err
}

func ownerOfResource(stored *corev1.Secret) (owner, error) {
	r, err := registration.DecodeResource(stored.Data)
	emptied := oauth2.Resource{Identifier: r.Identifier, UID: r.UID, Namespace: r.Namespace, Name: r.Name}
	return owner{
		NamespacedName: types.NamespacedName{Namespace: r.Namespace, Name: r.Name}, kind: "OAuth2Resource", object: &v1alpha1.OAuth2Resource{}, uid: r.UID,
		emptied: func() (map[string][]byte, error) { return registration.EncodeResource(emptied) },
	}, err
}

func ownerOfIssuer(stored *corev1.Secret) (owner, error) {
	t, err := registration.DecodeIssuer(stored.Data)
	emptied := oauth2.TrustedIssuer{Name: t.Name, UID: t.UID, Issuer: t.Issuer, Suspended: true}
	return owner{
		NamespacedName: types.NamespacedName{Name: t.Name}, kind: "OAuth2TrustedIssuer", object: &v1alpha1.OAuth2TrustedIssuer{}, uid: t.UID,
		emptied: func() (map[string][]byte, error) { return registration.EncodeIssuer(emptied) },
	}, err
}

func ownerOfToken(stored *corev1.Secret) (owner, error) {
	m, err := registration.DecodeToken(stored.Data)
	of := owner{
		NamespacedName: types.NamespacedName{Namespace: m.Namespace, Name: m.Name}, kind: "OAuth2Token", object: &v1alpha1.OAuth2Token{}, uid: m.UID,
		clientID: m.ClientID, field: "jti",
	}
	for _, token := range m.Tokens {
		of.ids = append(of.ids, token.ID)
	}
	m.Tokens = nil
	of.emptied = func() (map[string][]byte, error) { return registration.EncodeToken(m) }
	return of, err
}

// Reconcile checks one record. It deletes it only after a live read has found no owner, or
// another one.
func (r *Reconciler) Reconcile(ctx context.Context, stored *corev1.Secret) (ctrl.Result, error) {
	if !slices.Contains(recordTypes, stored.Type) {
		return ctrl.Result{}, nil // the sweep knows only names
	}
	isNewer := r.newer.note(ctx, stored)
	if stored.Type == registration.KeysSecretType || stored.Type == registration.SealingSecretType {
		return ctrl.Result{}, nil // it has no owner
	}
	recorded, err := ownerOf(stored)
	if err != nil {
		if !isNewer {
			ctrl.LoggerFrom(ctx).Error(err, "cannot read a record; it is left alone and allows nothing")
		}
		return ctrl.Result{}, nil
	}
	if !r.Policy.Covers(recorded.Namespace) {
		// Its owner cannot be read. Without an owner a record admits no client, and is
		// deleted when the namespace is covered again.
		return ctrl.Result{}, nil
	}
	gone, err := r.readOwner(ctx, recorded)
	terminating := err == nil && !gone && !recorded.object.GetDeletionTimestamp().IsZero()
	if gone {
		gone, err = output.Gone(ctx, r.Live, recorded.kind, recorded.NamespacedName, recorded.uid)
	}
	switch {
	case err != nil:
		return ctrl.Result{}, err
	case gone:
		r.ends.begin(stored.Name, recorded)
		if err = output.Delete(ctx, r.Client, stored); r.ends.answered(stored.Name, err) {
			r.audit(recorded)
		}
		return ctrl.Result{}, err
	case terminating:
		if err = r.empty(ctx, stored, recorded); errors.Is(err, wire.ErrNewer) {
			err = nil // it is noted, and goes with its owner
		}
	}
	return ctrl.Result{}, err
}

// audit writes what has ended with its owner, right after the write that ended it.
func (r *Reconciler) audit(ended owner) {
	for _, id := range ended.ids {
		r.Audit.Info("credential", "change", "ended", "client_id", ended.clientID, "owner", ended.kind+" "+ended.String(), ended.field, id)
	}
}

// readOwner reads the owner from the cache, and reports whether it is not there.
func (r *Reconciler) readOwner(ctx context.Context, recorded owner) (gone bool, err error) {
	err = r.Client.Get(ctx, recorded.NamespacedName, recorded.object)
	if client.IgnoreNotFound(err) != nil {
		return false, fmt.Errorf("read %s %s: %w", recorded.kind, recorded, err)
	}
	return err != nil || string(recorded.object.GetUID()) != recorded.uid, nil //nolint:nilerr // an absence is an answer
}

// empty takes from a record all that it allows. A deletion is never undone, but a tenant can delay
// its end with a finalizer. Until then the name of the record stays the lock on what it is derived
// from.
func (r *Reconciler) empty(ctx context.Context, stored *corev1.Secret, recorded owner) error {
	data, err := recorded.emptied()
	if err != nil {
		return err
	}
	isEmpty := maps.EqualFunc(stored.Data, data, bytes.Equal)
	if !isEmpty {
		r.ends.begin(stored.Name, recorded)
	} else if ended, done := r.ends.found(stored.Name); done {
		r.audit(ended)
	}
	written, err := publish.Write(ctx, r.Client, stored, publish.Record{
		NamespacedName: client.ObjectKeyFromObject(stored), Of: "the record of " + recorded.kind + " " + recorded.String(),
		Type: stored.Type, Annotations: stored.Annotations, Data: data, Room: r.Policy.Room, Forced: true,
	})
	if !isEmpty && r.ends.answered(stored.Name, err) && written != stored {
		r.audit(recorded)
	}
	return err
}

// SetupWithManager sets up what wakes the controller.
func (r *Reconciler) SetupWithManager(mgr ctrl.Manager) error {
	records := predicate.NewPredicateFuncs(func(o client.Object) bool {
		secret, ok := o.(*corev1.Secret)
		return ok && secret.Namespace == r.RegistryNamespace &&
			slices.Contains(recordTypes, secret.Type)
	})
	gone := handler.Funcs{UpdateFunc: r.afterUpdate, DeleteFunc: r.afterDeletion}
	building := ctrl.NewControllerManagedBy(mgr).
		Named("registry").
		// Every record is checked when the manager starts, and now and then.
		For(&corev1.Secret{}, builder.WithPredicates(records)).
		WatchesRawSource(source.Func(r.sweep)).
		Watches(&corev1.Secret{}, handler.Funcs{DeleteFunc: r.newer.forget}, builder.WithPredicates(records)).
		Watches(&corev1.Secret{}, handler.Funcs{DeleteFunc: r.afterEnd}, builder.WithPredicates(records)).
		// A client, resource or token that is deleted leaves its record.
		Watches(&v1alpha1.OAuth2Client{}, gone).
		Watches(&v1alpha1.OAuth2Resource{}, gone).
		Watches(&v1alpha1.OAuth2Token{}, gone).
		WithOptions(fair.Options(workers, attempt.RateLimiter(), r.ownerNamespace))
	if !r.Policy.Namespaced() {
		building = building.Watches(&v1alpha1.OAuth2TrustedIssuer{}, gone)
	}
	if err := building.Complete(reconcile.AsReconciler(mgr.GetClient(), r)); err != nil {
		return fmt.Errorf("set up the registry controller: %w", err)
	}
	return nil
}

type queue = workqueue.TypedRateLimitingInterface[reconcile.Request]

// sweep adds all records when nothing else waits, once in each sweepInterval. A request for each
// record that waits in the queue would take 240 bytes.
func (r *Reconciler) sweep(ctx context.Context, q queue) error {
	urgency, _ := q.(priorityqueue.PriorityQueue[reconcile.Request])
	go func() {
		ticker := time.NewTicker(sweepInterval)
		defer ticker.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-ticker.C:
			}
			for _, name := range r.Names.Names(&corev1.Secret{}) {
				if name.Namespace == r.RegistryNamespace && urgency != nil {
					urgency.AddWithOpts(priorityqueue.AddOpts{Priority: new(handler.LowPriority)}, reconcile.Request{NamespacedName: name})
				}
			}
		}
	}()
	return nil
}

// afterUpdate wakes the record of an object that has begun to terminate.
func (r *Reconciler) afterUpdate(_ context.Context, e event.UpdateEvent, q queue) {
	if e.ObjectOld.GetDeletionTimestamp().IsZero() && !e.ObjectNew.GetDeletionTimestamp().IsZero() {
		r.wakeRecord(e.ObjectNew, q)
	}
}

func (r *Reconciler) afterDeletion(_ context.Context, e event.DeleteEvent, q queue) {
	r.wakeRecord(e.Object, q)
}

// ownerNamespace is the namespace of the owner of a record, as its annotations name it; "" if the
// cache has no such record.
func (r *Reconciler) ownerNamespace(request reconcile.Request) string {
	var stored corev1.Secret
	if err := r.Client.Get(context.Background(), request.NamespacedName, &stored); err != nil {
		return ""
	}
	return cmp.Or(stored.Annotations[v1alpha1.AnnotationClientNamespace], stored.Annotations[v1alpha1.AnnotationResourceNamespace],
		stored.Annotations[v1alpha1.AnnotationTokenNamespace])
}

// wakeRecord wakes the record of a deleted object. Its name is derived from an identifier of the
// object.
func (r *Reconciler) wakeRecord(deleted client.Object, q queue) {
	var name string
	switch object := deleted.(type) {
	case *v1alpha1.OAuth2Client:
		name = registration.SecretName(object.ClientID())
	case *v1alpha1.OAuth2Resource:
		name = registration.ResourceSecretName(r.Policy.Identifier(object))
	case *v1alpha1.OAuth2Token:
		name = registration.TokenSecretName(string(object.UID))
	case *v1alpha1.OAuth2TrustedIssuer:
		name = registration.IssuerSecretName(object.Name)
	}
	q.Add(reconcile.Request{NamespacedName: types.NamespacedName{Namespace: r.RegistryNamespace, Name: name}})
}
