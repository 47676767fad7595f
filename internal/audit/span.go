// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package audit

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

// startSpan begins the span of a request, as a part of the trace that its caller is in (W3C Trace
// Context). Of that context only the ids and the flags are taken: a tracestate is the caller's free text.
func (a *Auditor) startSpan(ctx context.Context, endpoint string, parents []string) (context.Context, trace.Span) {
	if a.Tracer == nil {
		return ctx, noop.Span{}
	}
	if len(parents) == 1 {
		ctx = propagation.TraceContext{}.Extract(ctx, propagation.MapCarrier{"traceparent": strings.TrimSpace(parents[0])})
	}
	return a.Tracer.Start(ctx, endpoint, trace.WithSpanKind(trace.SpanKindServer))
}

// endSpan says of a request what its audit line says, in the same words, and nothing else.
func endSpan(r *Record, status int) {
	if r.span.IsRecording() {
		attributes := []attribute.KeyValue{
			attribute.Int("http.response.status_code", status),
			attribute.String(attributePrefix+"request_id", r.RequestID),
			attribute.String(attributePrefix+"outcome", r.outcome()),
			attribute.String(attributePrefix+"source", r.Source),
		}
		for _, field := range r.fields() {
			if field.value != "" {
				attributes = append(attributes, attribute.String(attributePrefix+field.name, field.value))
			}
		}
		r.span.SetAttributes(attributes...)
		if status >= http.StatusInternalServerError {
			r.span.SetStatus(codes.Error, string(r.Reason))
		}
	}
	r.span.End()
}
