// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"
	"sigs.k8s.io/controller-runtime/pkg/metrics"
)

// countRestores counts restores of etcd in the registry of the process, which several managers of one process share.
func countRestores() func() {
	counter := prometheus.NewCounter(prometheus.CounterOpts{
		Name: "hallpass_registry_restored_total",
		Help: "Times that the API server was found to have gone back in time, as after a restore of etcd.",
	})
	if registered, ok := errors.AsType[prometheus.AlreadyRegisteredError](metrics.Registry.Register(counter)); ok {
		if earlier, ok := registered.ExistingCollector.(prometheus.Counter); ok {
			return earlier.Inc
		}
	}
	return counter.Inc
}
