// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/hallpass-dev/hallpass/internal/keyring"
)

// KeyMetrics report the signing keys that a replica holds: their states, whether one signs, since
// when the active ones sign, and the next change. It is a prometheus.Collector.
type KeyMetrics struct {
	ring func() keyring.Ring
	now  func() time.Time

	keys, signs, active, next *prometheus.Desc
}

// NewKeyMetrics returns the collector for the keys that ring returns.
func NewKeyMetrics(ring func() keyring.Ring, now func() time.Time) *KeyMetrics {
	return &KeyMetrics{
		ring: ring, now: now,
		keys: prometheus.NewDesc("hallpass_signing_keys", "Signing keys that the replica holds, by algorithm and state.", []string{"alg", "state"}, nil),
		signs: prometheus.NewDesc("hallpass_signing_key_signs",
			"1 if a key of the replica signs now; 0 if it answers token requests with 503, because none does.", nil, nil),
		active: prometheus.NewDesc("hallpass_signing_key_active_timestamp_seconds",
			"Since when the key of an algorithm signs that signs now.", []string{"alg"}, nil),
		next: prometheus.NewDesc("hallpass_signing_key_next_change_timestamp_seconds",
			"When a signing key changes its state next; 0 where none will before a new one is made.", nil, nil),
	}
}

// Describe implements prometheus.Collector.
func (m *KeyMetrics) Describe(descriptions chan<- *prometheus.Desc) {
	for _, description := range []*prometheus.Desc{m.keys, m.signs, m.active, m.next} {
		descriptions <- description
	}
}

// Collect implements prometheus.Collector.
func (m *KeyMetrics) Collect(metrics chan<- prometheus.Metric) {
	ring, now := m.ring(), m.now()
	type group struct{ algorithm, state string }
	counts := map[group]int{}
	since := map[string]time.Time{}
	for _, key := range ring.Keys() {
		algorithm, state := string(key.Algorithm()), key.State(now)
		counts[group{algorithm, string(state)}]++
		if state == keyring.Active && key.ActiveAt.After(since[algorithm]) {
			since[algorithm] = key.ActiveAt
		}
	}
	for g, count := range counts {
		metrics <- prometheus.MustNewConstMetric(m.keys, prometheus.GaugeValue, float64(count), g.algorithm, g.state)
	}
	for algorithm, at := range since {
		metrics <- prometheus.MustNewConstMetric(m.active, prometheus.GaugeValue, float64(at.Unix()), algorithm)
	}
	signs := 0.0
	if _, err := ring.SigningKey(now); err == nil {
		signs = 1
	}
	metrics <- prometheus.MustNewConstMetric(m.signs, prometheus.GaugeValue, signs)
	next := 0.0
	if at := ring.NextChange(now); !at.IsZero() {
		next = float64(at.Unix())
	}
	metrics <- prometheus.MustNewConstMetric(m.next, prometheus.GaugeValue, next)
}
