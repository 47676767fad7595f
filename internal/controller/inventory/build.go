// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package inventory

import (
	"errors"
	"fmt"

	"github.com/prometheus/client_golang/prometheus"
	"sigs.k8s.io/controller-runtime/pkg/metrics"
)

// RegisterBuild tells the version of the build. It has a name of its own, because that of token servers says that there is one. Of several
// managers in one process it tells each once.
func RegisterBuild(version string) error {
	info := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "hallpass_manager_build_info", Help: "Always 1, by the version of the build.", ConstLabels: prometheus.Labels{"version": version},
	})
	info.Set(1)
	err := metrics.Registry.Register(info)
	if _, already := errors.AsType[prometheus.AlreadyRegisteredError](err); err != nil && !already {
		return fmt.Errorf("add the version to the metrics: %w", err)
	}
	return nil
}
