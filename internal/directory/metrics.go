// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package directory

import (
	"math"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/hallpass-dev/hallpass/internal/apiclock"
)

// observed is what the metrics report of a Directory.
type observed interface {
	Heard() time.Time
	Silence() time.Duration
	Restored() int64
	Bridging() bool
	Snapshot() WrittenSnapshot
}

// RegisterClock registers the metric of the clock.
func RegisterClock(registry prometheus.Registerer, clock *apiclock.Clock) {
	registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "hallpass_clock_ahead_seconds",
		Help: "How far the replica's clock is ahead of the API server's; negative if it is behind, NaN before the first response.",
	}, func() float64 {
		if ahead, known := clock.Ahead(); known {
			return ahead.Seconds()
		}
		return math.NaN()
	}))
}

// RegisterMetrics registers the metrics of the age of memory, of the snapshot and of restores.
func RegisterMetrics(registry prometheus.Registerer, dir observed) {
	gauge := func(name, help string, value func() float64) {
		registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, value))
	}
	gauge("hallpass_apiserver_silence_seconds",
		"Time since the watch that is furthest behind received something from the API server; +Inf before the first list.", func() float64 {
			if dir.Heard().IsZero() {
				return math.Inf(1)
			}
			return dir.Silence().Seconds()
		})
	registry.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{
		Name: "hallpass_registry_restored_total",
		Help: "Times that it was proven that etcd was restored from a backup. No user of the cluster can raise it.",
	}, func() float64 { return float64(dir.Restored()) }))
	gauge("hallpass_snapshot_serving", "1 while answers come from a snapshot, because the API server has been away since before the start.", func() float64 {
		if dir.Bridging() {
			return 1
		}
		return 0
	})
	gauge("hallpass_snapshot_written_timestamp_seconds", "When the last snapshot was written; 0 for never.", func() float64 {
		if at := dir.Snapshot().At; !at.IsZero() {
			return float64(at.UnixMilli()) / 1e3
		}
		return 0
	})
	gauge("hallpass_snapshot_bytes", "Size of the last snapshot that was written.", func() float64 { return float64(dir.Snapshot().Size) })
}
