// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/hallpass-dev/hallpass/internal/oauth2"
)

// Metrics are the metrics of a token server.
type Metrics struct {
	requests  *prometheus.CounterVec
	duration  *prometheus.HistogramVec
	reviews   *prometheus.CounterVec
	staleUses *prometheus.CounterVec // by oauth2.StaleUse
	inactive  *prometheus.CounterVec // by oauth2.Reason
	plain     prometheus.Counter
	closed    *prometheus.CounterVec
	// common are the series of each endpoint that most requests count in, found once.
	common map[string]commonSeries
	// writes, pending and lag measure how revocations get to the other replicas, collapsed
	// those that are too many to be stored one by one.
	writes    *prometheus.CounterVec
	collapsed *prometheus.CounterVec
	pending   prometheus.Gauge
	lag       prometheus.Histogram

	namespaces namespaces
}

type commonSeries struct {
	allowed  prometheus.Counter
	duration prometheus.Observer
}

// NewMetrics makes the metrics and registers them.
func NewMetrics(registry prometheus.Registerer) *Metrics {
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
	}
	m := &Metrics{
		requests: counter("hallpass_requests_total",
			"Requests by endpoint, HTTP status and the reason of a refusal, which is empty for an answer that allows.", "endpoint", "code", "reason"),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "hallpass_request_duration_seconds",
			Help:    "Time from the end of a request's header to the end of its answer.",
			Buckets: []float64{.0001, .00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .5, 1, 5},
		}, []string{"endpoint"}),
		reviews: counter("hallpass_token_reviews_total",
			"Reviews of service accounts' tokens by the API server, by its verdict; unreachable ones were decided without it.", "verdict"),
		staleUses: counter("hallpass_stale_uses_total",
			"Uses of expired and revoked tokens, which were refused, and of replaced client secrets, which were accepted.", "reason"),
		inactive: counter("hallpass_inactive_tokens_total",
			"Introspected tokens that were answered as inactive, by why, such as TokenExpired and NotForCaller.", "reason"),
		plain: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "hallpass_plain_http_total", Help: "Connections to the HTTPS port on which a caller sent plain HTTP. They are answered 400.",
		}),
		closed: counter("hallpass_connections_closed_total",
			"Connections of callers that were closed for a bound: source (too many of one), total (too many of all) and memory.", "bound"),
		common:     map[string]commonSeries{},
		namespaces: newNamespaces(registry),
		writes: counter("hallpass_revocation_writes_total",
			"Attempts to write a batch of revocations, by whether it is durable since.", "durable"),
		collapsed: counter("hallpass_revocations_collapsed_total",
			"Attempts to write a selector in the place of too many single revocations of a client or a namespace, by whether it is durable since.", "durable"),
		pending: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "hallpass_revocations_pending",
			Help: "Revocations that hold at this replica and could not be written yet.",
		}),
		lag: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name:    "hallpass_revocation_lag_seconds",
			Help:    "Time from the writing of a batch of revocations, by the clock of the replica that wrote it, until this replica honours it.",
			Buckets: []float64{.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 60},
		}),
	}
	registry.MustRegister(m.requests, m.duration, m.reviews, m.staleUses, m.inactive, m.plain, m.closed, m.writes, m.collapsed, m.pending, m.lag)
	for _, durable := range []string{"true", "false"} {
		m.collapsed.WithLabelValues(durable)
	}
	// there from the start, so that the first one is an increase
	for _, use := range oauth2.StaleUses {
		m.staleUses.WithLabelValues(string(use))
	}
	for _, verdict := range []oauth2.Verdict{oauth2.Undecided, oauth2.Honoured, oauth2.Dishonoured, oauth2.Unreachable} {
		m.reviews.WithLabelValues(verdict.String())
	}
	for _, endpoint := range []string{
		Token, Authorize, Introspect, Revoke, Feed, Keys, Metadata, ForwardAuth, ExtAuthz, LoginBegin, LoginResume, LoginFinish, None,
	} {
		m.common[endpoint] = commonSeries{m.requests.WithLabelValues(endpoint, strconv.Itoa(http.StatusOK), ""), m.duration.WithLabelValues(endpoint)}
	}
	return m
}

// Reviewed counts a review of the token of a service account.
func (m *Metrics) Reviewed(verdict oauth2.Verdict) {
	m.reviews.WithLabelValues(verdict.String()).Inc()
}

func (m *Metrics) stale(use oauth2.StaleUse) {
	m.staleUses.WithLabelValues(string(use)).Inc()
}

// PlainHTTP counts a connection on which a caller sent plain HTTP to the HTTPS port.
func (m *Metrics) PlainHTTP() { m.plain.Inc() }

// Closed counts a connection that was closed for a bound, or with 0 makes the bound known.
func (m *Metrics) Closed(bound string, connections float64) {
	m.closed.WithLabelValues(bound).Add(connections)
}

func (m *Metrics) introspected(denial oauth2.Reason) {
	if denial != "" {
		m.inactive.WithLabelValues(string(denial)).Inc()
	}
}

func (m *Metrics) observe(endpoint string, status int, reason oauth2.Reason, took time.Duration) {
	series := m.common[endpoint]
	if status == http.StatusOK && reason == "" {
		series.allowed.Inc()
	} else {
		m.requests.WithLabelValues(endpoint, strconv.Itoa(status), string(reason)).Inc()
	}
	series.duration.Observe(took.Seconds())
}

// RevocationSeen counts a batch of revocations that came by the watch.
func (m *Metrics) RevocationSeen(lag time.Duration) { m.lag.Observe(lag.Seconds()) }

// Wrote counts an attempt to write a batch of revocations, and sets how many are not durable yet.
func (m *Metrics) Wrote(durable bool, pending int) {
	m.writes.WithLabelValues(strconv.FormatBool(durable)).Inc()
	m.pending.Set(float64(pending))
}

// Collapsed counts an attempt to write a selector in the place of single revocations.
func (m *Metrics) Collapsed(durable bool) {
	m.collapsed.WithLabelValues(strconv.FormatBool(durable)).Inc()
}

// RegisterBuild registers the metric of the version of the build.
func RegisterBuild(registry prometheus.Registerer, version string) {
	info := prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "hallpass_build_info", Help: "Always 1, by the version of the build."}, []string{"version"})
	info.WithLabelValues(version).Set(1)
	registry.MustRegister(info)
}
