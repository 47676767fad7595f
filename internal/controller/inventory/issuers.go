// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package inventory

import (
	"context"

	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/apimachinery/pkg/api/meta"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
)

// Issuers counts the OAuth2TrustedIssuers in the manager's cache by their conditions.
type Issuers struct {
	each Each[v1alpha1.OAuth2TrustedIssuer]

	issuers *prometheus.Desc
}

// NewIssuers makes a collector to be registered.
func NewIssuers(each Each[v1alpha1.OAuth2TrustedIssuer]) *Issuers {
	return &Issuers{each: each, issuers: prometheus.NewDesc("hallpass_trusted_issuers",
		"OAuth2TrustedIssuers by their conditions Ready and KeysFresh, and why.", []string{"condition", "status", "reason"}, nil)}
}

// Describe implements prometheus.Collector.
func (c *Issuers) Describe(descriptions chan<- *prometheus.Desc) { descriptions <- c.issuers }

// Collect implements prometheus.Collector.
func (c *Issuers) Collect(series chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), readLimit)
	defer cancel()
	count := map[[3]string]int{}
	err := c.each(ctx, func(o *v1alpha1.OAuth2TrustedIssuer) {
		for _, kind := range []string{v1alpha1.ConditionReady, v1alpha1.ConditionKeysFresh} {
			if condition := meta.FindStatusCondition(o.Status.Conditions, kind); condition != nil {
				count[[3]string{kind, string(condition.Status), condition.Reason}]++
			}
		}
	})
	if err != nil {
		series <- prometheus.NewInvalidMetric(c.issuers, err)
		return
	}
	for labels, n := range count {
		series <- prometheus.MustNewConstMetric(c.issuers, prometheus.GaugeValue, float64(n), labels[:]...)
	}
}

// RegisterIssuers registers the collector in the registry of the process, as Register does.
func RegisterIssuers(each Each[v1alpha1.OAuth2TrustedIssuer]) error {
	return register(NewIssuers(each))
}
