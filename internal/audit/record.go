// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"cmp"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"net/http"
	"strings"
	"sync"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"

	"github.com/hallpass-dev/hallpass/internal/oauth2"
	"github.com/hallpass-dev/hallpass/internal/strictjson"
)

// usualLine is about the length of an audit line.
const usualLine = 768

// lines is room for audit lines; a writer keeps nothing of what it is given.
var lines = sync.Pool{New: func() any { return new([usualLine]byte) }} //nolint:gochecknoglobals // a pool of buffers

// write writes the line of a decision, or of the first one of several that it stands for.
func (a *Auditor) write(r *Record, now time.Time, status, decisions int) {
	room, _ := lines.Get().(*[usualLine]byte)
	// there is nowhere to report it
	_, _ = a.Lines.Write(r.line(room[:], now, status, decisions))
	lines.Put(room)
}

// line is the audit line, in the room given if it fits.
func (r *Record) line(room []byte, now time.Time, status, decisions int) []byte {
	line := strictjson.NewBuilder(room).Time("time", now).Text("level", "INFO").Text("msg", "decision").
		Text("request_id", r.RequestID).Text("endpoint", r.Endpoint).Text("outcome", r.outcome()).
		Number("status", int64(status)).Text("source", r.Source)
	for _, field := range r.fields() {
		if field.value != "" {
			line.Text(field.name, field.value)
		}
	}
	if decisions > 1 {
		line.Number("repeated", int64(decisions))
	}
	return append(line.End(), '\n')
}

// field is a field of an audit line.
type field struct{ name, value string }

// maxRepeated bounds what a line repeats of a request.
const maxRepeated = 128

// repeated is the beginning of what a caller chose, with an ellipsis if it is longer than a line
// repeats.
func repeated(value string) string {
	if len(value) <= maxRepeated {
		return value
	}
	const ellipsis = "…"
	return strings.ToValidUTF8(value[:maxRepeated-len(ellipsis)], "") + ellipsis
}

// clientID is the client that called, whole if it was proven.
func (r *Record) clientID() string {
	if r.Trail.Used.Caller != "" || r.Trail.Used.TokenOf != "" {
		return r.Trail.ClientID
	}
	return repeated(r.Trail.ClientID)
}

// fields are what audit lines and spans show beside the request's id, endpoint, outcome, status and
// source. This is the allow-list.
func (r *Record) fields() [19]field {
	trail := &r.Trail
	return [...]field{
		{"forwarded_for", r.ForwardedFor},
		{"reason", string(r.Reason)},
		{"token_denial", string(trail.Denial)},
		{"client_id", r.clientID()},
		{"method", string(trail.Method)},
		{"credential", trail.Credential},
		{"jti", trail.Token.ID},
		{"token_client_id", trail.Token.ClientID},
		{"sub", r.subject},
		{"subject_jti", trail.SubjectTokenID},
		{"grant_id", trail.GrantID},
		{"aud", trail.Token.Audience},
		{"scope", trail.Token.Scope},
		{"required_aud", repeated(trail.Required.Audience)},
		{"required_scope", repeated(strings.Join(trail.Required.Scopes, " "))},
		{"caller_request_id", r.CallerID},
		{"trace_id", r.TraceID},
		{"source_address", r.SourceAddress},
		{"forwarded_address", r.ForwardedAddress},
	}
}

// subject is what a line has of the sub of a token. With a key it is a hash of a person: lines of
// one person can still be found, and not the person.
func (a *Auditor) subject(sub string) string {
	if len(a.PersonKey) == 0 || sub == "" {
		return sub
	}
	person, err := oauth2.ParsePerson(sub)
	if err != nil {
		return sub // a client
	}
	mac := hmac.New(sha256.New, a.PersonKey)
	_, _ = mac.Write([]byte(sub)) // it cannot fail
	person.Subject = "hmac-sha256:" + base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
	return person.String()
}

// outcome is the result of the request in one word.
func (r *Record) outcome() string {
	switch {
	case r.Reason != "":
		return "refused"
	case r.Trail.Revoked:
		return "revoked"
	}
	return "allowed"
}

// attributePrefix is the prefix of the attributes of a span that are fields of the audit line.
const attributePrefix = "hallpass."

// startSpan begins the span of a request, as a part of the trace that its caller is in (W3C Trace
// Context). Of that context only the ids and the flags are taken: a tracestate is the caller's free
// text.
func (a *Auditor) startSpan(ctx context.Context, endpoint string, parents []string) (context.Context, trace.Span) {
	if a.Tracer == nil {
		return ctx, noop.Span{}
	}
	if len(parents) == 1 {
		ctx = propagation.TraceContext{}.Extract(ctx, propagation.MapCarrier{"traceparent": strings.TrimSpace(parents[0])})
	}
	return a.Tracer.Start(ctx, endpoint, trace.WithSpanKind(trace.SpanKindServer)) //nolint:spancheck // endSpan ends it
}

// endSpan gives the span the fields of the audit line, and nothing else.
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

// noteUse reports the use of the client that called, and of the one whose token was presented.
func (a *Auditor) noteUse(r *Record, now time.Time) {
	used := &r.Trail.Used
	if used.Caller != "" {
		use := oauth2.Use{
			Subject: used.Caller, Namespace: r.Trail.Namespace, At: now, Credential: used.Secret, Issued: r.Endpoint == Token && r.Reason == "", Source: r.caller(),
		}
		if used.Replaced {
			use.Stale = oauth2.PreviousSecretUsed
		}
		a.note(use)
	}
	if used.TokenOf == "" {
		return
	}
	denial := r.Trail.Denial
	stale := denial.StaleUse()
	if denial == "" {
		denial = r.Reason
		if r.Trail.SubjectTokenID == "" { // otherwise it is about the client that exchanges
			stale = denial.StaleUse()
		}
	}
	use := oauth2.Use{
		Subject: used.TokenOf, Namespace: used.TokenNamespace, At: now, Presented: denial == "", Stale: stale, Source: r.caller(),
	}
	if used.Token != "" { // the OAuth2Token has the events about stale uses
		if use.Presented {
			a.note(use)
		}
		use.Subject = used.Token
	}
	a.note(use)
}

func (a *Auditor) note(use oauth2.Use) {
	if use.Stale != "" {
		a.Metrics.stale(use.Stale)
	}
	if a.Usage != nil {
		a.Usage.Note(use)
	}
}

// noteRefusal reports what was refused to a client. What is not its fault is not reported.
func (a *Auditor) noteRefusal(r *Record, now time.Time, status int, err error) {
	if a.Refusals == nil || r.Trail.Method == "" || status >= http.StatusTooManyRequests {
		return
	}
	refused := oauth2.Refused{Client: r.Trail.ClientUID, Namespace: r.Trail.Namespace, At: now, Reason: r.Reason, Source: r.caller()}
	if refusal, ok := errors.AsType[*oauth2.Error](err); ok {
		refused.Subject = refusal.Subject
	}
	a.Refusals.Note(refused)
}

// caller is the whole address that something was used from, or "" where only a proxy's is known.
func (r *Record) caller() string {
	switch {
	case r.ForwardedFor != "":
		return cmp.Or(r.ForwardedAddress, r.ForwardedFor)
	case r.Endpoint == ForwardAuth, r.Endpoint == ExtAuthz:
		return ""
	}
	return cmp.Or(r.SourceAddress, r.Source)
}
