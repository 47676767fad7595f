// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package restored

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"
	"sigs.k8s.io/controller-runtime/pkg/metrics"
)

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
