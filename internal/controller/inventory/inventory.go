// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

// Package inventory has Prometheus count clients, credentials and trusted issuers: how many, how
// old, and when the next rotation is due. It reads the manager's cache on each scrape and names no
// client.
package inventory

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/metrics"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/internal/credential"
)

const (
	day       = 24 * time.Hour
	readLimit = 5 * time.Second // how long a scrape waits for the cache
	// for how long a count is reported again: each reads every client.
	fresh = 5 * time.Second
)

// ages are the bounds of the ages that are counted: a day, a week, a month, a quarter, half a year,
// a year.
var ages = []time.Duration{day, 7 * day, 30 * day, 90 * day, 180 * day, 365 * day} //nolint:gochecknoglobals // a constant list

// unusedFor are the times that unused clients are counted by.
var unusedFor = [...]time.Duration{day, 7 * day, 30 * day, 90 * day} //nolint:gochecknoglobals // a constant list

// unrotatedFor are the ages that secrets without a planned rotation are counted by: a quarter, half
// a year, a year.
var unrotatedFor = [...]time.Duration{90 * day, 180 * day, 365 * day} //nolint:gochecknoglobals // a constant list

// Collector counts the clients in the manager's cache.
type Collector struct {
	each  Each[v1alpha1.OAuth2Client]
	clock clock.PassiveClock

	mu   sync.Mutex
	last *tally

	clients, age, next, waiting, unused, unrotated *prometheus.Desc
}

// Each passes every object of a kind to a function, one after the other.
type Each[T any] func(ctx context.Context, visit func(*T)) error

// New makes a collector to be registered.
func New(each Each[v1alpha1.OAuth2Client], now clock.PassiveClock) *Collector {
	return &Collector{
		each: each, clock: now,
		clients: prometheus.NewDesc("hallpass_clients", "OAuth2Clients by whether the token endpoint honours them, and why.", []string{"ready", "reason"}, nil),
		age:     prometheus.NewDesc("hallpass_credential_age_seconds", "Age of the client secrets that are accepted now.", nil, nil),
		next: prometheus.NewDesc("hallpass_credential_next_rotation_timestamp_seconds",
			"When the next rotation of a client secret is due; 0 where none is planned.", nil, nil),
		waiting: prometheus.NewDesc("hallpass_rotations_waiting",
			"Clients whose rotation is due or requested and waits or fails, by the reason in status.rotation.", []string{"reason"}, nil),
		unused: prometheus.NewDesc("hallpass_clients_unused",
			"Clients that are older than that and were not used for longer, by their status.", []string{"longer_than"}, nil),
		unrotated: prometheus.NewDesc("hallpass_clients_unrotated",
			"Clients whose current secret is older than that, and for which no rotation is planned.", []string{"longer_than"}, nil),
	}
}

// Describe implements prometheus.Collector.
func (c *Collector) Describe(descriptions chan<- *prometheus.Desc) {
	descriptions <- c.clients
	descriptions <- c.age
	descriptions <- c.next
	descriptions <- c.waiting
	descriptions <- c.unused
	descriptions <- c.unrotated
}

// Collect implements prometheus.Collector.
func (c *Collector) Collect(series chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), readLimit)
	defer cancel()
	t, err := c.count(ctx)
	if err != nil {
		series <- prometheus.NewInvalidMetric(c.clients, err)
		return
	}
	for labels, count := range t.clients {
		series <- prometheus.MustNewConstMetric(c.clients, prometheus.GaugeValue, float64(count), labels[0], labels[1])
	}
	series <- prometheus.MustNewConstHistogram(c.age, t.credentials, t.ageSum, t.buckets)
	next := 0.0
	if !t.next.IsZero() {
		next = float64(t.next.Unix())
	}
	series <- prometheus.MustNewConstMetric(c.next, prometheus.GaugeValue, next)
	for reason, count := range t.waiting {
		series <- prometheus.MustNewConstMetric(c.waiting, prometheus.GaugeValue, float64(count), string(reason))
	}
	for n, long := range unusedFor {
		series <- prometheus.MustNewConstMetric(c.unused, prometheus.GaugeValue, float64(t.unused[n]), fmt.Sprintf("%dh", int(long.Hours())))
	}
	for n, long := range unrotatedFor {
		series <- prometheus.MustNewConstMetric(c.unrotated, prometheus.GaugeValue, float64(t.unrotated[n]), fmt.Sprintf("%dh", int(long.Hours())))
	}
}

// count counts all clients, or returns what was counted a moment ago.
func (c *Collector) count(ctx context.Context) (*tally, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.clock.Now()
	if c.last != nil && now.Sub(c.last.now).Abs() < fresh {
		return c.last, nil
	}
	t := &tally{now: now, clients: map[[2]string]int{}, buckets: map[float64]uint64{}, waiting: map[v1alpha1.RotationReason]int{}}
	for _, reason := range rotationReasons { // 0 is a value, too
		t.waiting[reason] = 0
	}
	for _, bound := range ages {
		t.buckets[bound.Seconds()] = 0
	}
	if err := c.each(ctx, t.add); err != nil {
		return nil, err
	}
	c.last = t
	return t, nil
}

// rotationReasons are why a rotation may wait or fail.
var rotationReasons = []v1alpha1.RotationReason{ //nolint:gochecknoglobals // a constant list
	v1alpha1.RotationTooManySecrets, v1alpha1.RotationRefused, v1alpha1.RotationNotReady, v1alpha1.RotationNotGenerated,
}

// tally is what was counted so far.
type tally struct {
	now         time.Time
	clients     map[[2]string]int
	credentials uint64
	ageSum      float64
	buckets     map[float64]uint64
	next        time.Time
	waiting     map[v1alpha1.RotationReason]int
	unused      [len(unusedFor)]int
	unrotated   [len(unrotatedFor)]int
}

func (t *tally) add(c *v1alpha1.OAuth2Client) {
	ready, reason := string(metav1.ConditionUnknown), ""
	if condition := meta.FindStatusCondition(c.Status.Conditions, v1alpha1.ConditionReady); condition != nil {
		ready, reason = string(condition.Status), condition.Reason
	}
	t.clients[[2]string{ready, reason}]++
	for _, credential := range c.Status.Credentials {
		if end := credential.ExpiresAt.Time; !end.IsZero() && !t.now.Before(end) {
			continue
		}
		age := t.now.Sub(credential.CreatedAt.Time)
		for n, long := range unrotatedFor {
			if credential.ExpiresAt.IsZero() && c.Status.Rotation.NextAt.IsZero() && age > long {
				t.unrotated[n]++
			}
		}
		t.credentials++
		t.ageSum += age.Seconds()
		for _, bound := range ages {
			if age <= bound {
				t.buckets[bound.Seconds()]++
			}
		}
	}
	if reason := c.Status.Rotation.Reason; reason != "" {
		t.waiting[reason]++
	}
	t.next = credential.Earliest(t.next, c.Status.Rotation.NextAt.Time)
	last := c.Status.LastUsedAt.Time
	if last.IsZero() {
		last = c.CreationTimestamp.Time
	}
	for n, long := range unusedFor {
		if t.now.Sub(last) > long {
			t.unused[n]++
		}
	}
}

// Register registers the collector in the registry of the process. Of several managers in one
// process the first one is asked.
func Register(each Each[v1alpha1.OAuth2Client], now clock.PassiveClock) error {
	return register(New(each, now))
}

func register(collector prometheus.Collector) error {
	err := metrics.Registry.Register(collector)
	if _, already := errors.AsType[prometheus.AlreadyRegisteredError](err); err != nil && !already {
		return fmt.Errorf("add metrics: %w", err)
	}
	return nil
}

// RegisterClock registers the metric of the manager's clock. ahead returns false until the API
// server has answered. Of several managers in one process the first one counts.
func RegisterClock(ahead func() (time.Duration, bool)) error {
	return register(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "hallpass_manager_clock_ahead_seconds",
		Help: "How far the manager's clock is ahead of the API server's; negative if it is behind, NaN before the first response.",
	}, func() float64 {
		if by, known := ahead(); known {
			return by.Seconds()
		}
		return math.NaN()
	}))
}

// RegisterNewer registers the metric of the records that a newer version wrote. Of several managers
// in one process the first one counts.
func RegisterNewer(records func() int) error {
	return register(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "hallpass_newer_records",
		Help: "Records of the registry that a newer version wrote. This manager does not write over them.",
	}, func() float64 { return float64(records()) }))
}

// RegisterBuild registers the metric of the version of the build. Its name differs from that of the
// token servers, because queries take that one as proof that a token server runs. If several
// managers run in one process, each version is registered once.
func RegisterBuild(version string) error {
	info := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "hallpass_manager_build_info", Help: "Always 1, by the version of the build.", ConstLabels: prometheus.Labels{"version": version},
	})
	info.Set(1)
	return register(info)
}
