// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"sync"

	"github.com/prometheus/client_golang/prometheus"
)

const (
	// maxNamespaces bounds the namespaces with series of their own. The first ones get them; all others
	// share those of otherNamespaces, which is no name of a namespace.
	maxNamespaces   = 1000
	otherNamespaces = "_other"
)

// namespaces count token requests by the namespace of the client.
type namespaces struct {
	issued, refused *prometheus.CounterVec

	mu     *sync.RWMutex
	series map[string]namespaceSeries
}

type namespaceSeries struct{ issued, refused prometheus.Counter }

func newNamespaces(registry prometheus.Registerer) namespaces {
	counter := func(name, help string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, []string{"namespace"})
	}
	n := namespaces{
		issued: counter("hallpass_namespace_tokens_issued_total",
			"Tokens issued, by the namespace of the client; _other stands for all beyond the first 1,000 namespaces."),
		refused: counter("hallpass_namespace_token_requests_refused_total",
			"Token requests refused that name a client which exists, by its namespace; _other stands for all beyond the first 1,000."),
		mu: &sync.RWMutex{}, series: map[string]namespaceSeries{},
	}
	registry.MustRegister(n.issued, n.refused)
	return n
}

// count counts a token request.
func (n *namespaces) count(namespace string, issued bool) {
	n.mu.RLock()
	series, there := n.series[namespace]
	n.mu.RUnlock()
	if !there {
		series = n.add(namespace)
	}
	if issued {
		series.issued.Inc()
	} else {
		series.refused.Inc()
	}
}

// add returns the series of a namespace that had none.
func (n *namespaces) add(namespace string) namespaceSeries {
	n.mu.Lock()
	defer n.mu.Unlock()
	if len(n.series) >= maxNamespaces {
		namespace = otherNamespaces
	}
	series, there := n.series[namespace]
	if !there {
		series = namespaceSeries{n.issued.WithLabelValues(namespace), n.refused.WithLabelValues(namespace)}
		n.series[namespace] = series
	}
	return series
}
