// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

// Package restored detects that etcd was restored from a backup, and reports it: what was denied
// after the backup, such as a suspended client, has to be denied again. Every manager looks, also
// one that stands by: the one that works may lose its lease, and its memory, meanwhile.
package restored

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/events"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/metrics"

	"github.com/hallpass-dev/hallpass/internal/registration"
	"github.com/hallpass-dev/hallpass/internal/restore"
)

// Reason is the reason of the event.
const Reason = "RegistryRestored"

// interval is how often it is looked. Revisions that went back by minutes stay behind for longer,
// and a list of one name costs less than the renewal of a lease.
const interval = 2 * time.Second

// Watchman compares the API server's resourceVersion with the one that it saw before.
type Watchman struct {
	Live              client.Reader // of the API server itself
	Recorder          events.EventRecorder
	RegistryNamespace string
	Clock             clock.PassiveClock
	// Restored is called when it was noticed.
	Restored func()

	known uint64
	at    time.Time
}

// SetupWithManager has a manager run it.
func (w *Watchman) SetupWithManager(mgr ctrl.Manager) error {
	if err := mgr.Add(w); err != nil {
		return fmt.Errorf("set up the check of resourceVersions: %w", err)
	}
	return nil
}

var _ manager.LeaderElectionRunnable = (*Watchman)(nil)

// NeedLeaderElection implements manager.LeaderElectionRunnable.
func (w *Watchman) NeedLeaderElection() bool { return false }

// Start implements manager.Runnable.
func (w *Watchman) Start(ctx context.Context) error {
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for {
		w.look(ctx)
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}

// look asks for the current resourceVersion. An API server that does not answer proves nothing; it
// is asked again.
func (w *Watchman) look(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, interval)
	defer cancel()
	var list metav1.PartialObjectMetadataList
	list.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("SecretList"))
	if err := w.Live.List(ctx, &list, client.InNamespace(w.RegistryNamespace), client.Limit(1)); err != nil {
		ctrl.LoggerFrom(ctx).V(1).Info("cannot read the current resourceVersion", "error", err)
		return
	}
	current, err := strconv.ParseUint(list.ResourceVersion, 10, 64)
	if err != nil {
		return
	}
	before, after := w.known, w.Clock.Since(w.at)
	w.known, w.at = current, w.Clock.Now()
	if restore.Prove(restore.Facts{Revision: before}, restore.Facts{Revision: current}, after) == restore.None {
		return
	}
	w.Restored()
	keys := &corev1.Secret{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "Secret"},
		ObjectMeta: metav1.ObjectMeta{Namespace: w.RegistryNamespace, Name: registration.KeysSecretName},
	}
	w.Recorder.Eventf(keys, nil, corev1.EventTypeWarning, Reason, "ReadRegistry",
		"The cluster was restored from a backup: resourceVersion %d came after %d. What was revoked, suspended or withdrawn since the backup is forgotten; "+
			"token servers that ran meanwhile still refuse JWTs for two hours, and Fixed OAuth2Tokens until they are issued anew. Deny it again", current, before)
}

// Counter registers the counter of restores of etcd in the registry of the process. It returns the
// function to be set as Watchman.Restored. Several managers in one process share one counter.
func Counter() func() {
	counter := prometheus.NewCounter(prometheus.CounterOpts{
		Name: "hallpass_registry_restored_total",
		Help: "Times that it was proven that etcd was restored from a backup. No user of the cluster can raise it.",
	})
	if registered, ok := errors.AsType[prometheus.AlreadyRegisteredError](metrics.Registry.Register(counter)); ok {
		if earlier, ok := registered.ExistingCollector.(prometheus.Counter); ok {
			return earlier.Inc
		}
	}
	return counter.Inc
}
