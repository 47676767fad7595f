// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"google.golang.org/protobuf/proto"
)

func TestWhereTracesGo(t *testing.T) {
	for name, c := range map[string]struct {
		flag string
		env  map[string]string
		want string
	}{
		"nowhere unless something says so": {},
		"where the flag says":              {flag: "http://collector:4318", want: "http://collector:4318/v1/traces"},
		"below a path of the flag":         {flag: "https://collector/otlp/", want: "https://collector/otlp/v1/traces"},
		"where the environment says":       {env: map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": "http://a:4318"}, want: "http://a:4318/v1/traces"},
		"where the environment says of traces": {
			env:  map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": "http://a:4318", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://b/x"},
			want: "http://b/x",
		},
		"the flag comes first": {
			flag: "http://c:4318", env: map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": "http://a:4318"}, want: "http://c:4318/v1/traces",
		},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := tracesURL(c.flag, func(name string) string { return c.env[name] })
			if err != nil || got != c.want {
				t.Errorf("%q (%v), want %q", got, err, c.want)
			}
		})
	}
	for _, endpoint := range []string{"collector:4318", "grpc://collector:4317", "/v1/traces", "http://user:password@collector", "http://"} {
		if got, err := tracesURL(endpoint, func(string) string { return "" }); err == nil || strings.Contains(err.Error(), "password") {
			t.Errorf("%q becomes %q (%v), want an error", endpoint, got, err)
		}
	}
}

func TestSpansReachACollector(t *testing.T) {
	received := make(chan *collector.ExportTraceServiceRequest, 1)
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		request := &collector.ExportTraceServiceRequest{}
		if err != nil || r.URL.Path != "/v1/traces" || proto.Unmarshal(body, request) != nil {
			t.Errorf("%s with %d bytes (%v) is no export", r.URL.Path, len(body), err)
		}
		received <- request
	}))
	defer server.Close()
	to, err := tracesURL(server.URL, func(string) string { return "" })
	if err != nil {
		t.Fatal(err)
	}
	tracer, stop, err := startTracing(t.Context(), to, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	_, span := tracer.Start(t.Context(), "token")
	span.End()
	stop(t.Context())
	spans := (<-received).GetResourceSpans()[0]
	if name := spans.GetScopeSpans()[0].GetSpans()[0].GetName(); name != "token" {
		t.Errorf("a span called %q", name)
	}
	if service := spans.GetResource().String(); !strings.Contains(service, serviceName) {
		t.Errorf("of %s", service)
	}
}

func TestALostCollectorIsLoggedAndStopsNothing(t *testing.T) {
	server := httptest.NewServer(http.NotFoundHandler())
	defer server.Close()
	var log strings.Builder
	tracer, stop, err := startTracing(t.Context(), server.URL, slog.New(slog.NewJSONHandler(&log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	_, span := tracer.Start(t.Context(), "token")
	span.End()
	if stop(t.Context()); !strings.Contains(log.String(), "cannot send traces") {
		t.Errorf("the log is %s", log.String())
	}
}
