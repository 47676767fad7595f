// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

// Package keysecret reads and writes the Secrets of the registry that hold key rings, for their
// controllers, which decide by what the API server itself has: what a ring becomes is random.
package keysecret

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/internal/apiclock"
	"github.com/hallpass-dev/hallpass/internal/controller/attempt"
	"github.com/hallpass-dev/hallpass/internal/controller/output"
)

// LookAgain bounds how long a controller trusts its sleep: clocks are set, and machines suspended.
const LookAgain = time.Hour

// Store is where the Secrets of one kind of keys are kept.
type Store struct {
	// Client writes, and Live reads from the API server itself.
	Client    client.Client
	Live      client.Reader
	Namespace string
	Type      corev1.SecretType
	// Of is what errors call the keys.
	Of string
}

// Read reads a Secret; an empty one with the name if there is none.
func (s Store) Read(ctx context.Context, name string) (*corev1.Secret, error) {
	secret := &corev1.Secret{}
	err := s.Live.Get(ctx, types.NamespacedName{Namespace: s.Namespace, Name: name}, secret)
	if apierrors.IsNotFound(err) {
		return &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: s.Namespace, Name: name}}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the %s: %w", s.Of, err)
	}
	return secret, nil
}

// Write brings a Secret that was read to data, with the resourceVersion that the data was decided
// on: of two managers one gets a conflict, reads again and finds nothing to do.
func (s Store) Write(ctx context.Context, secret *corev1.Secret, data map[string][]byte) error {
	if maps.EqualFunc(secret.Data, data, bytes.Equal) {
		return nil
	}
	secret = secret.DeepCopy()
	secret.Data = data
	var err error
	if secret.ResourceVersion != "" {
		err = s.Client.Update(ctx, secret)
	} else {
		secret.Labels, secret.Type = map[string]string{v1alpha1.LabelManagedBy: v1alpha1.ManagedBy}, s.Type
		err = s.Client.Create(ctx, secret)
	}
	if err != nil {
		return fmt.Errorf("write the %s to %s: %w", s.Of, secret.Name, err)
	}
	return nil
}

// Unanswered are writes of a Secret that the API server did not answer, so that one of them may be
// done, also after a later read. The zero Unanswered is none. It is for one worker.
type Unanswered struct{ writes []write }

// write is what was written, and what reports that it was.
type write struct {
	data   map[string][]byte
	report func()
}

// mostUnanswered bounds the writes that are remembered: the API server is away, and each attempt
// fails.
const mostUnanswered = 4

// Written calls report if a write was done, which failed with an error or nil. If it may be done,
// Read calls it instead.
func (u *Unanswered) Written(data map[string][]byte, failure error, report func()) {
	switch {
	case failure == nil:
		*u = Unanswered{}
		report()
	case output.MayBeDone(failure):
		u.writes = append(u.writes, write{data, report})
		u.writes = u.writes[max(0, len(u.writes)-mostUnanswered):]
	}
}

// Read reports the write, once, if what was read shows that it was done.
func (u *Unanswered) Read(secret *corev1.Secret) {
	at := slices.IndexFunc(u.writes, func(w write) bool { return maps.EqualFunc(secret.Data, w.data, bytes.Equal) })
	if at >= 0 {
		u.writes[at].report()
		*u = Unanswered{}
	}
}

// Pause is the time until there is something to do. Keys that are gone wait for the clocks to
// agree.
func Pause(next time.Time, now apiclock.Time) time.Duration {
	wait := LookAgain
	if !now.Agreed {
		wait = apiclock.Apart
	}
	if next.IsZero() {
		return wait
	}
	return min(max(next.Sub(now.Earliest), time.Second), wait)
}

// SetUp sets up a controller of Secrets of these names in a namespace, and what else wakes it. All
// of them are one request, of the first name, or each would be tried again on its own.
func SetUp(mgr ctrl.Manager, name, namespace string, names []string, r reconcile.Reconciler, wakes ...source.Source) error {
	keys := types.NamespacedName{Namespace: namespace, Name: names[0]}
	// The first reconcile comes without an event: at the very start there is no Secret that
	// could cause one.
	firstLook := source.Func(func(_ context.Context, queue workqueue.TypedRateLimitingInterface[reconcile.Request]) error {
		queue.Add(reconcile.Request{NamespacedName: keys})
		return nil
	})
	onlyKeys := predicate.NewPredicateFuncs(func(o client.Object) bool {
		return o.GetNamespace() == namespace && slices.Contains(names, o.GetName())
	})
	toKeys := handler.EnqueueRequestsFromMapFunc(func(context.Context, client.Object) []reconcile.Request {
		return []reconcile.Request{{NamespacedName: keys}}
	})
	build := ctrl.NewControllerManagedBy(mgr).Named(name).Watches(&corev1.Secret{}, toKeys, builder.WithPredicates(onlyKeys)).WatchesRawSource(firstLook)
	for _, wake := range wakes {
		build = build.WatchesRawSource(wake)
	}
	if err := build.WithOptions(controller.Options{RateLimiter: attempt.RateLimiter()}).Complete(r); err != nil {
		return fmt.Errorf("set up the controller %s: %w", name, err)
	}
	return nil
}
