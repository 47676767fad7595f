// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package usagereport

import (
	"context"
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/metrics"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
)

// unusedFor are the times that clients are counted by.
var unusedFor = [...]time.Duration{24 * time.Hour, 7 * 24 * time.Hour, 30 * 24 * time.Hour, 90 * 24 * time.Hour} //nolint:gochecknoglobals // a constant list

// unused counts the clients that nobody has used for long whenever it is asked, from the cache. It has four series however many
// clients there are.
type unused struct {
	reader client.Reader
	clock  clock.PassiveClock
	desc   *prometheus.Desc
}

// register has the manager's metrics count. Several managers may run in one process, and the last one is asked.
func register(reader client.Reader, c clock.PassiveClock) error {
	u := &unused{reader, c, prometheus.NewDesc("hallpass_clients_unused",
		"Clients that are older than that and were not used for longer, by what their status says.", []string{"longer_than"}, nil)}
	metrics.Registry.Unregister(u)
	if err := metrics.Registry.Register(u); err != nil {
		return fmt.Errorf("register the metric of unused clients: %w", err)
	}
	return nil
}

// Describe implements prometheus.Collector.
func (u *unused) Describe(descriptions chan<- *prometheus.Desc) { descriptions <- u.desc }

// Collect implements prometheus.Collector.
func (u *unused) Collect(series chan<- prometheus.Metric) {
	var clients v1alpha1.OAuth2ClientList
	if err := u.reader.List(context.Background(), &clients, client.UnsafeDisableDeepCopy); err != nil {
		series <- prometheus.NewInvalidMetric(u.desc, err)
		return
	}
	now := u.clock.Now()
	var counts [len(unusedFor)]int
	for i := range clients.Items {
		last := clients.Items[i].Status.LastUsedAt.Time
		if last.IsZero() {
			last = clients.Items[i].CreationTimestamp.Time
		}
		for n, long := range unusedFor {
			if now.Sub(last) > long {
				counts[n]++
			}
		}
	}
	for n, long := range unusedFor {
		series <- prometheus.MustNewConstMetric(u.desc, prometheus.GaugeValue, float64(counts[n]), fmt.Sprintf("%dh", int(long.Hours())))
	}
}
