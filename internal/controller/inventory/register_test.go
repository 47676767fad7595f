// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package inventory

import (
	"testing"

	"sigs.k8s.io/controller-runtime/pkg/metrics"
)

func TestTheVersionIsTold(t *testing.T) {
	for _, version := range []string{"v1.0.0", "v1.0.0", "v1.1.0"} { // several managers of one process
		if err := RegisterBuild(version); err != nil {
			t.Fatal(err)
		}
	}
	families, err := metrics.Registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	told := map[string]float64{}
	for _, family := range families {
		if family.GetName() == "hallpass_manager_build_info" {
			for _, metric := range family.GetMetric() {
				told[metric.GetLabel()[0].GetValue()] = metric.GetGauge().GetValue()
			}
		}
	}
	if len(told) != 2 || told["v1.0.0"] != 1 || told["v1.1.0"] != 1 {
		t.Errorf("told %v", told)
	}
}
