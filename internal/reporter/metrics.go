// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package reporter

import "github.com/prometheus/client_golang/prometheus"

// CountWrites registers the counter of written reports. It returns the function to be set as
// Config.Written.
func CountWrites(registry prometheus.Registerer) func(ok bool) {
	writes := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "hallpass_usage_report_writes_total",
		Help: "Writes of the reports about the use of clients, by result: written or failed.",
	}, []string{"result"})
	registry.MustRegister(writes)
	written, failed := writes.WithLabelValues("written"), writes.WithLabelValues("failed")
	return func(ok bool) {
		if ok {
			written.Inc()
		} else {
			failed.Inc()
		}
	}
}
