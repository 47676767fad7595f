// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"strings"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

const serviceName = "hallpass-tokenserver"

// tracesPath is where a collector takes traces, below the endpoint of all signals (OTLP/HTTP).
const tracesPath = "/v1/traces"

// tracesURL is where spans go: the flag, or the environment variables of OpenTelemetry; empty for
// nowhere.
func tracesURL(endpoint string, env func(string) string) (string, error) {
	complete := env("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
	switch {
	case endpoint != "":
	case complete != "":
		endpoint = complete
	default:
		endpoint = env("OTEL_EXPORTER_OTLP_ENDPOINT")
	}
	if endpoint == "" {
		return "", nil
	}
	parsed, err := url.Parse(endpoint)
	if err != nil || parsed.Host == "" || parsed.Scheme != "http" && parsed.Scheme != "https" || parsed.User != nil {
		return "", errors.New("it is not an http or https URL without credentials, such as http://collector.monitoring:4318")
	}
	if endpoint != complete {
		parsed.Path = strings.TrimSuffix(parsed.Path, "/") + tracesPath
	}
	return parsed.String(), nil
}

// startTracing makes the tracer, and what sends the last spans away when the server stops. Headers,
// certificates and sampling are those of the environment variables of OpenTelemetry; a caller that
// is in a trace already decides whether it is sampled.
func startTracing(ctx context.Context, to string, log *slog.Logger) (trace.Tracer, func(context.Context), error) {
	if to == "" {
		return nil, func(context.Context) {}, nil
	}
	exporter, err := otlptracehttp.New(ctx, otlptracehttp.WithEndpointURL(to))
	if err != nil {
		return nil, nil, fmt.Errorf("prepare traces: %w", err)
	}
	environment, err := resource.New(ctx, resource.WithAttributes(attribute.String("service.name", serviceName)), resource.WithFromEnv())
	if err != nil {
		return nil, nil, fmt.Errorf("prepare traces: %w", err)
	}
	provider := sdktrace.NewTracerProvider(
		// a bounded queue; what does not fit is dropped
		sdktrace.WithBatcher(loggedExporter{exporter, log}),
		sdktrace.WithResource(environment),
	)
	stop := func(ctx context.Context) {
		if err := provider.Shutdown(ctx); err != nil {
			log.WarnContext(ctx, "cannot send the last traces", "error", err)
		}
	}
	return provider.Tracer("github.com/hallpass-dev/hallpass"), stop, nil
}

// loggedExporter logs what goes wrong, which the SDK would print on standard error.
type loggedExporter struct {
	sdktrace.SpanExporter

	log *slog.Logger
}

// ExportSpans implements sdktrace.SpanExporter.
func (e loggedExporter) ExportSpans(ctx context.Context, spans []sdktrace.ReadOnlySpan) error {
	if err := e.SpanExporter.ExportSpans(ctx, spans); err != nil {
		e.log.WarnContext(ctx, "cannot send traces; these are lost", "spans", len(spans), "error", err)
	}
	return nil
}
