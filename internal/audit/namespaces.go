// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"maps"
	"sync"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
)

const (
	// maxNamespaces bounds the namespaces with series of their own. The first ones that get a
	// token have them; all others share those of otherNamespaces, which is no name of a
	// namespace.
	maxNamespaces   = 1000
	otherNamespaces = "_other"
)

// namespaces count token requests by the namespace of the client.
type namespaces struct {
	issued, refused *prometheus.CounterVec

	// adding orders the changes of series. Each makes a map of its own, so that a request reads
	// one without a lock, whose count all processors would write.
	adding *sync.Mutex
	series *atomic.Pointer[map[string]namespaceSeries]
	// other are the series of all namespaces that have none.
	other namespaceSeries
}

type namespaceSeries struct{ issued, refused prometheus.Counter }

func newNamespaces(registry prometheus.Registerer) namespaces {
	counter := func(name, help string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, []string{"namespace"})
	}
	n := namespaces{
		issued: counter("hallpass_namespace_tokens_issued_total",
			"Tokens issued, by the namespace of the client; _other stands for all beyond the first 1,000 namespaces with a token."),
		refused: counter("hallpass_namespace_token_requests_refused_total",
			"Token requests refused that name a client which exists, by its namespace; _other stands for those without a token, and beyond the first 1,000."),
		adding: &sync.Mutex{}, series: &atomic.Pointer[map[string]namespaceSeries]{},
	}
	registry.MustRegister(n.issued, n.refused)
	// Requests of unknown clients are counted where no metric shows it, so that they take as
	// long.
	unseen := prometheus.NewCounter(prometheus.CounterOpts{Name: "hallpass_unseen_total", Help: "Requests of unknown clients; it is not registered."})
	n.series.Store(&map[string]namespaceSeries{"": {unseen, unseen}})
	n.other = n.of(otherNamespaces)
	return n
}

func (n *namespaces) of(namespace string) namespaceSeries {
	return namespaceSeries{n.issued.WithLabelValues(namespace), n.refused.WithLabelValues(namespace)}
}

// count counts a token request of a client, whose namespace is empty if there is no such client. A
// refusal makes no series, because any caller can cause one: it reads what is there, as one of an
// unknown client does, and takes no lock that others wait for.
func (n *namespaces) count(namespace string, issued bool) {
	series, there := (*n.series.Load())[namespace]
	switch {
	case there:
	case issued:
		series = n.add(namespace)
	default:
		series = n.other
	}
	if issued {
		series.issued.Inc()
	} else {
		series.refused.Inc()
	}
}

// add returns the series of a namespace that had none.
func (n *namespaces) add(namespace string) namespaceSeries {
	n.adding.Lock()
	defer n.adding.Unlock()
	known := *n.series.Load()
	series, there := known[namespace]
	switch {
	case there:
	case len(known) > maxNamespaces: // with the one of unknown clients
		series = n.other
	default:
		series = n.of(namespace)
		more := maps.Clone(known)
		more[namespace] = series
		n.series.Store(&more)
	}
	return series
}
