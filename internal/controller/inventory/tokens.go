// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package inventory

import (
	"context"

	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/utils/clock"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
)

// Tokens counts the OAuth2Tokens of mode Fixed in the manager's cache, whose end an administrator
// has to know.
type Tokens struct {
	each  Each[v1alpha1.OAuth2Token]
	clock clock.PassiveClock

	fixed *prometheus.Desc
}

// The state of a Fixed token.
const (
	stateGood         = "good"
	stateEndsSoon     = "ends_soon"
	stateNotConsented = "not_consented"
	stateEnded        = "ended"
)

// NewTokens makes a collector to be registered.
func NewTokens(each Each[v1alpha1.OAuth2Token], now clock.PassiveClock) *Tokens {
	return &Tokens{each: each, clock: now, fixed: prometheus.NewDesc("hallpass_fixed_tokens",
		"OAuth2Tokens of mode Fixed that were made, by state: good, ends_soon by their condition ExpiresSoon, not_consented to any more by the owner "+
			"of the resource, ended.", []string{"state"}, nil)}
}

// Describe implements prometheus.Collector.
func (c *Tokens) Describe(descriptions chan<- *prometheus.Desc) { descriptions <- c.fixed }

// Collect implements prometheus.Collector. One that is good and not consented to counts as the
// latter.
func (c *Tokens) Collect(series chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), readLimit)
	defer cancel()
	count := map[string]int{stateGood: 0, stateEndsSoon: 0, stateNotConsented: 0, stateEnded: 0}
	err := c.each(ctx, func(t *v1alpha1.OAuth2Token) {
		if t.Spec.Mode == v1alpha1.TokenFixed && !t.Status.ExpiresAt.IsZero() {
			count[c.state(t)]++
		}
	})
	if err != nil {
		series <- prometheus.NewInvalidMetric(c.fixed, err)
		return
	}
	for state, n := range count {
		series <- prometheus.MustNewConstMetric(c.fixed, prometheus.GaugeValue, float64(n), state)
	}
}

func (c *Tokens) state(t *v1alpha1.OAuth2Token) string {
	limits := meta.FindStatusCondition(t.Status.Conditions, v1alpha1.ConditionWithinLimits)
	switch {
	case !c.clock.Now().Before(t.Status.ExpiresAt.Time):
		return stateEnded
	case meta.IsStatusConditionTrue(t.Status.Conditions, v1alpha1.ConditionExpiresSoon):
		return stateEndsSoon
	case limits != nil && limits.Reason == v1alpha1.ReasonNotAllowedByResource:
		return stateNotConsented
	}
	return stateGood
}

// RegisterTokens registers the collector in the registry of the process, as Register does.
func RegisterTokens(each Each[v1alpha1.OAuth2Token], now clock.PassiveClock) error {
	return register(NewTokens(each, now))
}
