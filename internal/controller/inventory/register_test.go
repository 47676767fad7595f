// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package inventory

import (
	"testing"

	"sigs.k8s.io/controller-runtime/pkg/metrics"
)

func TestTheVersionIsReported(t *testing.T) {
	// several managers of one process
	for _, version := range []string{"v1.0.0", "v1.0.0", "v1.1.0"} {
		if err := RegisterBuild(version); err != nil {
			t.Fatal(err)
		}
	}
	families, err := metrics.Registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	reported := map[string]float64{}
	for _, family := range families {
		if family.GetName() == "hallpass_manager_build_info" {
			for _, metric := range family.GetMetric() {
				reported[metric.GetLabel()[0].GetValue()] = metric.GetGauge().GetValue()
			}
		}
	}
	if len(reported) != 2 || reported["v1.0.0"] != 1 || reported["v1.1.0"] != 1 {
		t.Errorf("reported %v", reported)
	}
}
