// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package serve

import (
	"errors"
	"fmt"
	"net/http"
	"sync/atomic"
	"time"
)

// Memory is what a process that answers from memory knows of the age of its memory.
type Memory interface {
	// Ready returns why requests cannot be answered yet.
	Ready() error
	// Heard is when something last came from the API server, and Silence how long ago that was.
	Heard() time.Time
	Silence() time.Duration
	// Bridging reports whether the memory is a snapshot of an earlier process.
	Bridging() bool
}

// Ops are the dependencies of the operations port, which is for probes and for Prometheus.
type Ops struct {
	// Memory is nil for a process that has none: it is ready as soon as it listens.
	Memory Memory
	// Metrics answers /metrics.
	Metrics http.Handler
	// Stopping is true once the process is stopping. It is not ready then.
	Stopping *atomic.Bool
}

// Handler returns all routes of the operations port.
func (o Ops) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("ok\n")) })
	mux.HandleFunc("GET /readyz", o.ready)
	mux.Handle("GET /metrics", o.Metrics)
	return mux
}

// HealthPath is the path on the public port that balancers ask.
const HealthPath = "/healthz"

// Public returns the handler of the public port with a path for balancers that cannot reach the
// operations port. It answers as /readyz does, without a reason.
func (o Ops) Public(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != HealthPath || r.Method != http.MethodGet && r.Method != http.MethodHead {
			next.ServeHTTP(w, r)
			return
		}
		w.Header().Set("Cache-Control", "no-store")
		if o.Stopping.Load() || o.memoryReady() != nil {
			http.Error(w, "not ready", http.StatusServiceUnavailable)
			return
		}
		_, _ = w.Write([]byte("ok\n"))
	})
}

func (o Ops) ready(w http.ResponseWriter, r *http.Request) {
	err := o.memoryReady()
	if o.Stopping.Load() {
		err = errors.New("the server is stopping")
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
		return
	}
	if o.Memory != nil && r.URL.Query().Has("verbose") {
		_, _ = fmt.Fprintln(w, freshness(o.Memory))
	}
	_, _ = w.Write([]byte("ok\n"))
}

func (o Ops) memoryReady() error {
	if o.Memory == nil {
		return nil
	}
	return o.Memory.Ready()
}

// freshness describes the age of the memory for humans.
func freshness(m Memory) string {
	since := fmt.Sprintf("the last event or list of the API server came %s ago, at %s",
		m.Silence().Round(time.Second), m.Heard().UTC().Format(time.RFC3339))
	if m.Bridging() {
		return since + "; serving from the snapshot"
	}
	return since
}
