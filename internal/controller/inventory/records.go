// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package inventory

import "github.com/prometheus/client_golang/prometheus"

// heaviest is how many namespaces have a series of the memory of their records.
const heaviest = 10

// NamespaceBytes is what the records of a namespace take in the memory of a token server.
type NamespaceBytes struct {
	Namespace string
	Bytes     int
}

// Records are what counts the memory of the records.
type Records interface {
	// Bytes returns what the records of all namespaces take, and what they may take.
	Bytes() (held, limit int)
	// Heaviest returns the namespaces whose records take the most, that many at most.
	Heaviest(most int) []NamespaceBytes
}

// recordsCollector counts the memory of records.
type recordsCollector struct {
	records                Records
	held, limit, namespace *prometheus.Desc
}

func newRecordsCollector(records Records) *recordsCollector {
	return &recordsCollector{
		records: records,
		held:    prometheus.NewDesc("hallpass_records_memory_bytes", "Memory of a token server that the records of all namespaces take.", nil, nil),
		limit:   prometheus.NewDesc("hallpass_records_memory_limit_bytes", "Memory of a token server that the records of all namespaces may take.", nil, nil),
		namespace: prometheus.NewDesc("hallpass_records_memory_namespace_bytes",
			"Memory of a token server that the records of a namespace take, for the ten namespaces that take the most.", []string{"namespace"}, nil),
	}
}

// Describe implements prometheus.Collector.
func (c *recordsCollector) Describe(descriptions chan<- *prometheus.Desc) {
	descriptions <- c.held
	descriptions <- c.limit
	descriptions <- c.namespace
}

// Collect implements prometheus.Collector.
func (c *recordsCollector) Collect(series chan<- prometheus.Metric) {
	held, limit := c.records.Bytes()
	series <- prometheus.MustNewConstMetric(c.held, prometheus.GaugeValue, float64(held))
	series <- prometheus.MustNewConstMetric(c.limit, prometheus.GaugeValue, float64(limit))
	for _, n := range c.records.Heaviest(heaviest) {
		series <- prometheus.MustNewConstMetric(c.namespace, prometheus.GaugeValue, float64(n.Bytes), n.Namespace)
	}
}

// RegisterRecords registers the metrics of the memory of records. Of several managers in one
// process the first one counts.
func RegisterRecords(records Records) error { return register(newRecordsCollector(records)) }
