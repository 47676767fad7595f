// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package serve

import (
	"errors"
	"fmt"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/hallpass-dev/hallpass/internal/directory"
)

// OpsHandler is every route of the ops port.
func OpsHandler(dir *directory.Directory, registry *prometheus.Registry, stopping *atomic.Bool) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("ok\n")) })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) {
		err := dir.Ready()
		if stopping.Load() {
			err = errors.New("the server is stopping")
		}
		if err != nil {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
			return
		}
		if r.URL.Query().Has("verbose") {
			_, _ = fmt.Fprintln(w, freshness(dir))
		}
		_, _ = w.Write([]byte("ok\n"))
	})
	mux.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
	return mux
}

// freshness says how old what is known is, for humans.
func freshness(dir *directory.Directory) string {
	since := fmt.Sprintf("the API server was last heard of %s ago, at %s",
		dir.Silence().Round(time.Second), dir.Heard().UTC().Format(time.RFC3339))
	if dir.Bridging() {
		return since + "; serving from the snapshot"
	}
	return since
}
