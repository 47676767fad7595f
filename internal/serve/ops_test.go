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
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"k8s.io/client-go/rest"

	"github.com/hallpass-dev/hallpass/internal/directory"
)

func TestTheOpsPortReportsTheAgeOfMemory(t *testing.T) {
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

// memory is a Memory with fixed values.
type memory struct{ bridging bool }

func (memory) Ready() error           { return nil }
func (memory) Heard() time.Time       { return time.Date(2026, time.March, 1, 12, 0, 0, 0, time.UTC) }
func (memory) Silence() time.Duration { return 90*time.Second + time.Millisecond }
func (m memory) Bridging() bool       { return m.bridging }

func TestReadiness(t *testing.T) {
	const heard = "the last event or list of the API server came 1m30s ago, at 2026-03-01T12:00:00Z"
	for name, c := range map[string]struct {
		memory   memory
		stopping bool
		query    string
		status   int
		body     string
	}{
		"a probe gets a word":                        {status: http.StatusOK, body: "ok\n"},
		"a person gets the age of memory":            {query: "?verbose", status: http.StatusOK, body: heard + "\nok\n"},
		"a snapshot is named":                        {memory: memory{bridging: true}, query: "?verbose", status: http.StatusOK, body: heard + "; serving from the snapshot\nok\n"},
		"a process that stops is not ready any more": {stopping: true, status: http.StatusServiceUnavailable, body: "the server is stopping\n"},
	} {
		t.Run(name, func(t *testing.T) {
			var stopping atomic.Bool
			stopping.Store(c.stopping)
			handler := Ops{Memory: c.memory, Metrics: http.NotFoundHandler(), Stopping: &stopping}.Handler()
			answer := httptest.NewRecorder()
			handler.ServeHTTP(answer, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/readyz"+c.query, http.NoBody))
			if answer.Code != c.status || answer.Body.String() != c.body {
				t.Errorf("%d %q, want %d %q", answer.Code, answer.Body, c.status, c.body)
			}
		})
	}
}

func TestBalancersAskThePublicPort(t *testing.T) {
	dir, err := directory.New(directory.Config{REST: &rest.Config{Host: "localhost:1"}, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	next := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) })
	for name, c := range map[string]struct {
		memory       Memory
		stopping     bool
		method, path string
		status       int
	}{
		"a replica that is ready":   {memory{}, false, http.MethodGet, "/healthz", http.StatusOK},
		"the same without a body":   {memory{}, false, http.MethodHead, "/healthz", http.StatusOK},
		"one that stops":            {memory{}, true, http.MethodGet, "/healthz", http.StatusServiceUnavailable},
		"one that has read nothing": {dir, false, http.MethodGet, "/healthz", http.StatusServiceUnavailable},
		"another method":            {memory{}, false, http.MethodPost, "/healthz", http.StatusTeapot},
		"another path":              {memory{}, false, http.MethodGet, "/healthz/", http.StatusTeapot},
		"readiness is not public":   {memory{}, false, http.MethodGet, "/readyz", http.StatusTeapot},
		"metrics are not public":    {memory{}, false, http.MethodGet, "/metrics", http.StatusTeapot},
	} {
		t.Run(name, func(t *testing.T) {
			var stopping atomic.Bool
			stopping.Store(c.stopping)
			answer := httptest.NewRecorder()
			Ops{Memory: c.memory, Stopping: &stopping}.Public(next).ServeHTTP(answer, httptest.NewRequestWithContext(t.Context(), c.method, c.path, http.NoBody))
			if answer.Code != c.status || strings.Contains(answer.Body.String(), "read yet") {
				t.Errorf("%d %q, want %d", answer.Code, answer.Body, c.status)
			}
		})
	}
}
