// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package tokenserver

import (
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"
)

// tracedWorld is a fixture whose spans are kept.
func tracedWorld(t testing.TB) (*world, *tracetest.SpanRecorder) {
	recorder := tracetest.NewSpanRecorder()
	provider := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(recorder))
	return newWorld(t, func(c *settings) { c.audit.Tracer = provider.Tracer("test") }), recorder
}

// said has the attributes of a span, in the names of the audit line.
func said(span sdktrace.ReadOnlySpan) map[string]any {
	all := map[string]any{"endpoint": span.Name()}
	for _, attribute := range span.Attributes() {
		name := strings.TrimPrefix(string(attribute.Key), "hallpass.")
		if name == "http.response.status_code" {
			all["status"] = float64(attribute.Value.AsInt64())
		} else {
			all[name] = attribute.Value.AsString()
		}
	}
	return all
}

func TestAnswerAuditLineAndSpanAgree(t *testing.T) {
	for name, c := range map[string]call{
		"a token":               {basic: reporting, body: "grant_type=client_credentials"},
		"a wrong grant":         {basic: reporting, body: "grant_type=password"},
		"a client unknown":      {body: "grant_type=client_credentials&client_id=shop.nobody&client_secret=guess"},
		"nothing at this path":  {path: "/nowhere"},
		"a request with its id": {basic: reporting, body: "grant_type=client_credentials", header: http.Header{"X-Request-Id": {"caller-1"}}},
	} {
		t.Run(name, func(t *testing.T) {
			w, recorder := tracedWorld(t)
			answer := w.do(c)
			spans := recorder.Ended()
			if len(spans) != 1 {
				t.Fatalf("%d spans, want one", len(spans))
			}
			line := w.lastAudit()
			if line["request_id"] == "" || line["request_id"] != answer.Header().Get("X-Request-ID") {
				t.Errorf("the answer is called %q, the audit line %v", answer.Header().Get("X-Request-ID"), line["request_id"])
			}
			if line["trace_id"] != spans[0].SpanContext().TraceID().String() {
				t.Errorf("the audit line names trace %v, the span is of %s", line["trace_id"], spans[0].SpanContext().TraceID())
			}
			delete(line, "time")
			delete(line, "level")
			delete(line, "msg")
			if diff := cmp.Diff(line, said(spans[0])); diff != "" {
				t.Errorf("audit line and span (-line +span):\n%s", diff)
			}
		})
	}
}

func TestASpanIsPartOfItsCallersTrace(t *testing.T) {
	const parent = "4bf92f3577b34da6a3ce929d0e0e4736"
	for name, c := range map[string]struct {
		header http.Header
		joined bool
	}{
		"a caller in a trace": {http.Header{
			"Traceparent": {"00-" + parent + "-00f067aa0ba902b7-01"}, "Tracestate": {"vendor=free-text"},
		}, true},
		"no context":                     {nil, false},
		"a context that is none":         {http.Header{"Traceparent": {"00-" + parent}}, false},
		"two contexts":                   {http.Header{"Traceparent": {"00-" + parent + "-00f067aa0ba902b7-01", "00-" + parent + "-00f067aa0ba902b8-01"}}, false},
		"a context of nothing but zeros": {http.Header{"Traceparent": {"00-" + strings.Repeat("0", 32) + "-00f067aa0ba902b7-01"}}, false},
	} {
		t.Run(name, func(t *testing.T) {
			w, recorder := tracedWorld(t)
			w.do(call{basic: reporting, body: "grant_type=client_credentials", header: c.header})
			span := recorder.Ended()[0]
			if joined := span.SpanContext().TraceID().String() == parent; joined != c.joined {
				t.Errorf("the span is of trace %s; part of the caller's: %t, want %t", span.SpanContext().TraceID(), joined, c.joined)
			}
			if span.SpanContext().TraceState().Len() > 0 || span.SpanKind() != trace.SpanKindServer {
				t.Errorf("a span of kind %s with state %q", span.SpanKind(), span.SpanContext().TraceState())
			}
		})
	}
	t.Run("a caller that does not want to be sampled", func(t *testing.T) {
		w, recorder := tracedWorld(t)
		w.do(call{basic: reporting, body: "grant_type=client_credentials", header: http.Header{"Traceparent": {"00-" + parent + "-00f067aa0ba902b7-00"}}})
		if len(recorder.Ended()) > 0 || w.lastAudit()["trace_id"] != nil {
			t.Errorf("%d spans; the audit line is %v", len(recorder.Ended()), w.lastAudit())
		}
	})
}

func TestWithoutATracerNothingIsTraced(t *testing.T) {
	w := newWorld(t)
	w.do(call{basic: reporting, body: "grant_type=client_credentials", header: http.Header{
		"Traceparent": {"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"},
	}})
	if id := w.lastAudit()["trace_id"]; id != nil {
		t.Errorf("the audit line names trace %v", id)
	}
}
