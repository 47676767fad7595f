// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package serve

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"k8s.io/client-go/rest"

	"github.com/hallpass-dev/hallpass/internal/directory"
)

func TestTheOpsPortTellsHowOldMemoryIs(t *testing.T) {
	dir, err := directory.New(directory.Config{REST: &rest.Config{Host: "localhost:1"}, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	registry := prometheus.NewRegistry()
	directory.RegisterMetrics(registry, dir)
	handler := Ops{Memory: dir, Metrics: promhttp.HandlerFor(registry, promhttp.HandlerOpts{}), Stopping: &atomic.Bool{}}.Handler()
	for path, want := range map[string]struct {
		status int
		body   string
	}{
		"/healthz": {http.StatusOK, "ok\n"},
		"/readyz":  {http.StatusServiceUnavailable, "the secrets were not read yet\n"},
		"/metrics": {http.StatusOK, "\nhallpass_apiserver_silence_seconds +Inf\n"},
	} {
		answer := httptest.NewRecorder()
		handler.ServeHTTP(answer, httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, http.NoBody))
		if answer.Code != want.status || !strings.Contains(answer.Body.String(), want.body) {
			t.Errorf("%s: %d %s", path, answer.Code, answer.Body)
		}
	}
}
