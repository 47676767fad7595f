// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package inventory

import (
	"errors"
	"fmt"

	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/metrics"
)

// Register registers the collector in the registry of the process. If several managers run in one
// process, as in tests, that of the first one is used.
func Register(reader client.Reader, now clock.PassiveClock) error { return register(New(reader, now)) }

func register(collector prometheus.Collector) error {
	err := metrics.Registry.Register(collector)
	if _, already := errors.AsType[prometheus.AlreadyRegisteredError](err); err != nil && !already {
		return fmt.Errorf("add metrics: %w", err)
	}
	return nil
}

// RegisterBuild registers the metric of the version of the build. Its name differs from that of the
// token servers, because queries take that one as proof that a token server runs. If several
// managers run in one process, each version is registered once.
func RegisterBuild(version string) error {
	info := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "hallpass_manager_build_info", Help: "Always 1, by the version of the build.", ConstLabels: prometheus.Labels{"version": version},
	})
	info.Set(1)
	return register(info)
}
