// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package tokenserver

import (
	"context"
	"net/http"
	"strings"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"
)

// attributePrefix stands before what a span says in the words of the audit line.
const attributePrefix = "hallpass."

// startSpan begins the span of a request, as a part of the trace that its caller is in (W3C Trace Context). Of that context
// only the ids and the flags are taken: a tracestate is the caller's free text, and goes nowhere from here.
func (s *Server) startSpan(ctx context.Context, parents []string, e *event) (context.Context, trace.Span) {
	if s.Tracer == nil {
		return ctx, noop.Span{}
	}
	if len(parents) == 1 {
		ctx = propagation.TraceContext{}.Extract(ctx, propagation.MapCarrier{"traceparent": strings.TrimSpace(parents[0])})
	}
	ctx, span := s.Tracer.Start(ctx, e.endpoint, trace.WithSpanKind(trace.SpanKindServer))
	if span.SpanContext().IsSampled() {
		e.traceID = span.SpanContext().TraceID().String()
	}
	return ctx, span
}

// endSpan says of a request what its audit line says, in the same words, and nothing else.
func endSpan(span trace.Span, e *event, status int) {
	if span.IsRecording() {
		attributes := []attribute.KeyValue{
			attribute.Int("http.response.status_code", status),
			attribute.String(attributePrefix+"request_id", e.requestID),
			attribute.String(attributePrefix+"outcome", e.outcome()),
			attribute.String(attributePrefix+"source", e.source),
		}
		for _, field := range e.fields() {
			if field.value != "" {
				attributes = append(attributes, attribute.String(attributePrefix+field.name, field.value))
			}
		}
		span.SetAttributes(attributes...)
		if status >= http.StatusInternalServerError {
			span.SetStatus(codes.Error, string(e.reason))
		}
	}
	span.End()
}
