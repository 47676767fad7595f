// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package inventory

import (
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil"
)

type counted []NamespaceBytes

func (c counted) Bytes() (held, limit int) { return 900, 1000 }

func (c counted) Heaviest(most int) []NamespaceBytes { return c[:min(most, len(c))] }

func TestTheMemoryOfRecordsIsReported(t *testing.T) {
	all := counted{{"orders", 500}, {"shop", 300}}
	want := `# HELP hallpass_records_memory_bytes Memory of a token server that the records of all namespaces take.
# TYPE hallpass_records_memory_bytes gauge
hallpass_records_memory_bytes 900
# HELP hallpass_records_memory_limit_bytes Memory of a token server that the records of all namespaces may take.
# TYPE hallpass_records_memory_limit_bytes gauge
hallpass_records_memory_limit_bytes 1000
# HELP hallpass_records_memory_namespace_bytes Memory of a token server that the records of a namespace take, for the ten namespaces that take the most.
# TYPE hallpass_records_memory_namespace_bytes gauge
hallpass_records_memory_namespace_bytes{namespace="orders"} 500
hallpass_records_memory_namespace_bytes{namespace="shop"} 300
`
	if err := testutil.CollectAndCompare(newRecordsCollector(all), strings.NewReader(want)); err != nil {
		t.Error(err)
	}
	for i := range 30 {
		all = append(all, NamespaceBytes{strings.Repeat("a", i+1), 1})
	}
	if n := testutil.CollectAndCount(newRecordsCollector(all), "hallpass_records_memory_namespace_bytes"); n != 10 {
		t.Errorf("%d namespaces have series", n)
	}
}
