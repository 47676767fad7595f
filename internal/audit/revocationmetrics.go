// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// revocationMetrics tell how revocations get to the other replicas.
type revocationMetrics struct {
	writes  *prometheus.CounterVec
	pending prometheus.Gauge
	lag     prometheus.Histogram
}

func newRevocationMetrics(registry prometheus.Registerer) revocationMetrics {
	m := revocationMetrics{
		writes: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "hallpass_revocation_writes_total",
			Help: "Attempts to write a batch of revocations, by whether it is durable since.",
		}, []string{"durable"}),
		pending: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "hallpass_revocations_pending",
			Help: "Revocations that hold at this replica and could not be written yet.",
		}),
		lag: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name:    "hallpass_revocation_lag_seconds",
			Help:    "Time from the writing of a batch of revocations, by the clock of whoever wrote it, until this replica honours it.",
			Buckets: []float64{.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 60},
		}),
	}
	registry.MustRegister(m.writes, m.pending, m.lag)
	return m
}

// RevocationSeen counts a batch of revocations that came by the watch.
func (m revocationMetrics) RevocationSeen(lag time.Duration) { m.lag.Observe(lag.Seconds()) }

// Wrote counts an attempt to write a batch of revocations, and sets how many are not durable yet.
func (m revocationMetrics) Wrote(durable bool, pending int) {
	m.writes.WithLabelValues(strconv.FormatBool(durable)).Inc()
	m.pending.Set(float64(pending))
}
