// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

// Package audit records each decision of a token server once: as an audit line, in the metrics, on
// the span of the request, and as a use for the usage report. The endpoints of both ports, HTTP and
// gRPC, begin and end their requests here.
//
// It decides nothing, and knows no Kubernetes.
package audit

import (
	"context"
	"crypto/rand"
	"errors"
	"io"
	"log/slog"
	"net/netip"
	"strings"
	"sync"
	"time"

	"go.opentelemetry.io/otel/trace"

	"github.com/hallpass-dev/hallpass/internal/auth"
	"github.com/hallpass-dev/hallpass/internal/budget"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
)

// The names of the endpoints in audit lines and metrics.
const (
	Token       = "token"
	Authorize   = "authorize"
	Introspect  = "introspect"
	Revoke      = "revoke"
	Feed        = "revocations"
	Keys        = "jwks"
	Metadata    = "metadata"
	ForwardAuth = "forward-auth"
	ExtAuthz    = "ext_authz"
	// LoginBegin, LoginResume and LoginFinish are those of the port for login.
	LoginBegin  = "login-begin"
	LoginResume = "login-resume"
	LoginFinish = "login-finish"
	None        = "none"
)

// reasonInternal is the reason of a refusal that is our own fault.
const reasonInternal oauth2.Reason = "InternalError"

// Usage records who used what last. Note is called for every decision, so it must return at once.
type Usage interface {
	Note(use oauth2.Use)
}

// Refusals records what was refused to clients. Note is called for every refusal of an
// authentication or a grant, so it must return at once, and take as long for an unknown client.
type Refusals interface {
	Note(refused oauth2.Refused)
}

// Config is what an Auditor needs.
type Config struct {
	// Lines gets one line per decision, a JSON object like those of a slog.JSONHandler, each in
	// one Write; many at once.
	Lines io.Writer
	// Log gets our own faults.
	Log     *slog.Logger
	Metrics *Metrics
	// Tracer makes a span of each request; nil makes none.
	Tracer trace.Tracer
	// Usage gets the uses; nil if they are not reported.
	Usage Usage
	// Refusals gets what was refused to clients; nil if that is not reported.
	Refusals Refusals
	// TrustedProxies are the proxies whose X-Forwarded-For is believed. It decides nothing.
	TrustedProxies []netip.Prefix
	// Sources has the addresses that are one source.
	Sources budget.Sources
	// PersonKey, if it is not empty, is the key of the hash that lines and spans have in the
	// place of the subject of a person.
	PersonKey []byte
	// Now is the clock; nil means time.Now.
	Now func() time.Time
}

// Auditor records decisions. Run writes the lines that stand for several refusals.
type Auditor struct {
	Config

	refusals refusals
}

// New makes an Auditor.
func New(config Config) *Auditor {
	if config.Now == nil {
		config.Now = time.Now
	}
	return &Auditor{Config: config}
}

// Origin is where a request came from. It decides nothing.
type Origin struct {
	// RemoteAddr is the host:port of the connection.
	RemoteAddr string
	// ForwardedFor are the values of X-Forwarded-For, which count if the connection is a
	// trusted proxy's.
	ForwardedFor []string
	// RequestID is the caller's name for the request, and Traceparent are the values of that
	// header.
	RequestID   string
	Traceparent []string
}

// Record is what one request was about: the only fields that an audit line shows. None can hold a
// secret or a token, and what a caller chose is in one only once its shape was checked.
type Record struct {
	Endpoint string
	Started  time.Time
	Source   string
	// ForwardedFor is the source of the caller by a trusted proxy.
	ForwardedFor string
	// SourceAddress and ForwardedAddress are the whole addresses where the sources are
	// networks; else they are empty.
	SourceAddress, ForwardedAddress string
	// RequestID names the request in the answer and the audit line; CallerID is the name that
	// the caller gave it, if any.
	RequestID, CallerID string
	// TraceID names the trace that the request is part of, if it is traced.
	TraceID string
	// Reason is why the request was refused; empty if it was not.
	Reason oauth2.Reason
	Trail  auth.Trail

	span trace.Span
	// subject is what the line has of Trail.Token.Subject.
	subject string
}

// Traced reports whether the request has a span, so that its context has to be passed on.
func (r *Record) Traced() bool { return r.span.IsRecording() }

// Payer is the source that pays for what the request costs before its caller is authenticated: the
// one that a trusted proxy was called from, or else the one of the connection.
func (r *Record) Payer() string {
	if r.ForwardedFor != "" {
		return r.ForwardedFor
	}
	return r.Source
}

// records are those of requests that have ended. On the stack a record would be one more reason to
// make that larger.
var records = sync.Pool{New: func() any { return new(Record) }} //nolint:gochecknoglobals // a pool of records

// Begin begins the record of a request, and its span.
func (a *Auditor) Begin(ctx context.Context, endpoint string, from Origin) (context.Context, *Record) {
	r, _ := records.Get().(*Record)
	*r = Record{
		Endpoint: endpoint, Started: a.Now(), RequestID: rand.Text(), CallerID: callerID(from.RequestID),
	}
	r.Source, r.SourceAddress = a.peer(from.RemoteAddr)
	r.ForwardedFor, r.ForwardedAddress = a.forwardedFor(from.RemoteAddr, from.ForwardedFor)
	ctx, r.span = a.startSpan(ctx, endpoint, from.Traceparent)
	if c := r.span.SpanContext(); c.IsSampled() {
		r.TraceID = c.TraceID().String()
	}
	return ctx, r
}

// End completes the record with the decision and writes it. The record must not be used afterwards.
// Keys and metadata are public and asked
// for all the time: they are only counted. Where one source causes many refusals for one reason,
// one line stands for all of a second.
func (a *Auditor) End(ctx context.Context, r *Record, trail auth.Trail, status int, err error) {
	r.Trail = trail
	if trail.Browser != "" { // of most requests there is none, and an error would be allocated
		if address, err := netip.ParseAddr(trail.Browser); err == nil {
			r.ForwardedFor, r.ForwardedAddress = a.sourceOf(address)
		}
	}
	if refusal, ok := errors.AsType[*oauth2.Error](err); ok {
		r.Reason = refusal.Reason
	} else if err != nil { // our own fault: the log has its detail
		a.Log.ErrorContext(ctx, "cannot answer", "endpoint", r.Endpoint, "error", err)
		r.Reason = reasonInternal
	}
	r.subject = a.subject(r.Trail.Token.Subject)
	now := a.Now()
	a.Metrics.observe(r.Endpoint, status, r.Reason, now.Sub(r.Started))
	if r.Endpoint == Introspect && r.Reason == "" {
		a.Metrics.introspected(r.Trail.Denial)
	}
	if r.Endpoint == Token && r.Trail.Method != "" {
		a.Metrics.namespaces.count(r.Trail.Namespace, r.Reason == "")
	}
	a.noteUse(r, now)
	switch {
	case r.Reason != "":
		a.noteRefusal(r, now, status, err)
		if !a.refusals.hold(r, a.networkOf, now, status) {
			a.write(r, now, status, 1)
		}
	case r.Endpoint != Keys && r.Endpoint != Metadata:
		a.write(r, now, status, 1)
	}
	endSpan(r, status)
	*r = Record{}
	records.Put(r)
}

// maxCallerID bounds the request id of a caller; a UUID has 36 characters.
const maxCallerID = 64

// callerID is the request id that a caller sent, if it has the shape of one. It is recorded and
// never taken for ours: a caller could give many requests one name, or one of its own the name of
// another's.
func callerID(id string) string {
	if len(id) > maxCallerID || strings.Trim(id, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.") != "" {
		return ""
	}
	return id
}
