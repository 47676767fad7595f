// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
)

func TestNamespacesAreCountedWithABound(t *testing.T) {
	registry := prometheus.NewRegistry()
	n := newNamespaces(registry)
	n.count("shop", true)
	n.count("shop", true)
	n.count("shop", false)
	n.adding.Lock() // a refusal waits for no other request
	for i := range 3 * maxNamespaces {
		n.count(fmt.Sprint("named-", i), false)
	}
	n.adding.Unlock()
	n.count("late", false)
	n.count("late", true)
	n.count("late", false)
	for i := range 3 * maxNamespaces {
		n.count(fmt.Sprint("ns-", i), true)
	}
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]float64{}
	for _, family := range families {
		if len(family.GetMetric()) > maxNamespaces+1 {
			t.Errorf("%s has %d series", family.GetName(), len(family.GetMetric()))
		}
		for _, series := range family.GetMetric() {
			name := series.GetLabel()[0].GetValue()
			if name == "shop" || name == "late" || name == otherNamespaces {
				got[family.GetName()+" "+name] = series.GetCounter().GetValue()
			}
		}
	}
	if diff := cmp.Diff(map[string]float64{
		"hallpass_namespace_tokens_issued_total shop":            2,
		"hallpass_namespace_token_requests_refused_total shop":   1,
		"hallpass_namespace_tokens_issued_total late":            1,
		"hallpass_namespace_token_requests_refused_total late":   1,
		"hallpass_namespace_tokens_issued_total _other":          2*maxNamespaces + 2,
		"hallpass_namespace_token_requests_refused_total _other": 3*maxNamespaces + 1,
	}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if allocations := testing.AllocsPerRun(100, func() { n.count("shop", true) }); allocations > 0 {
		t.Errorf("%v allocations", allocations)
	}
}
