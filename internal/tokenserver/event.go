// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package tokenserver

import (
	"crypto/rand"
	"net/netip"
	"strings"
	"sync"
	"time"

	"github.com/hallpass-dev/hallpass/internal/oauth2"
	"github.com/hallpass-dev/hallpass/internal/strictjson"
)

// reasonInternal is the reason of a refusal that is our own fault.
const reasonInternal oauth2.Reason = "InternalError"

// event is what one request was about: the only fields that the audit line ever shows. None of them can hold a secret or a
// token, and what a caller chose is in it only once its shape was checked.
type event struct {
	endpoint string
	started  time.Time
	// now is the instant by which the request is decided: that at which it was read, or the last thing arrived that it had to wait for.
	now    time.Time
	source string
	// forwardedFor is the address that a trusted proxy says the request came from.
	forwardedFor string
	// requestID names the request in the answer and the audit line; callerID is the name that the caller gave it, if any.
	requestID, callerID string
	// traceID names the trace that the request is part of, if it is traced.
	traceID string

	// reason is why the request was refused; empty if it was not.
	reason oauth2.Reason
	// denial is why an introspected token was said to be inactive.
	denial oauth2.Reason

	clientID   string
	method     oauth2.AuthMethod
	credential string
	tokenID    string
	subject    string
	audience   string
	scope      string
	// revoked says that the token was revoked, for good.
	revoked bool
	// required is what a proxy's configuration wants of the token.
	required oauth2.Requirement
	// used is whose use this was; see noteUse.
	used used
}

func (s *Server) newEvent(endpoint, remoteAddr, requestID string, forwarded []string) *event {
	now := s.Now()
	return &event{
		endpoint: endpoint, started: now, now: now, source: sourceOf(remoteAddr), forwardedFor: s.forwardedFor(remoteAddr, forwarded),
		requestID: rand.Text(), callerID: callerID(requestID),
	}
}

// waited takes note that a request has waited for something: what it is decided by is the time that it is now.
func (s *Server) waited(e *event) { e.now = s.Now() }

// record writes the audit line and counts. Keys and metadata are public and asked for all the time: they are only counted.
func (s *Server) record(e *event, status int) {
	now := s.Now()
	s.Metrics.observe(e, status, now.Sub(e.started))
	s.noteUse(e, now)
	if e.reason == "" && (e.endpoint == endpointKeys || e.endpoint == endpointMetadata) {
		return
	}
	room, _ := lines.Get().(*[usualLine]byte)
	_, _ = s.Audit.Write(e.line(room[:], now, status)) // there is nobody to tell
	lines.Put(room)
}

// usualLine is about what an audit line takes.
const usualLine = 768

// lines is room for audit lines; a writer keeps nothing of what it is given.
var lines = sync.Pool{New: func() any { return new([usualLine]byte) }} //nolint:gochecknoglobals // memory for whoever needs it

// line is the audit line, in the room given if it fits.
func (e *event) line(room []byte, now time.Time, status int) []byte {
	line := strictjson.NewBuilder(room).Time("time", now).Text("level", "INFO").Text("msg", "decision").
		Text("request_id", e.requestID).Text("endpoint", e.endpoint).Text("outcome", e.outcome()).
		Number("status", int64(status)).Text("source", e.source)
	for _, field := range e.fields() {
		if field.value != "" {
			line.Text(field.name, field.value)
		}
	}
	return append(line.End(), '\n')
}

// field is one thing to tell of a request.
type field struct{ name, value string }

// fields are what audit lines and spans show beside the request's id, endpoint, outcome, status and source. This is the
// allow-list.
func (e *event) fields() [14]field {
	return [...]field{
		{"forwarded_for", e.forwardedFor},
		{"reason", string(e.reason)},
		{"token_denial", string(e.denial)},
		{"client_id", e.clientID},
		{"method", string(e.method)},
		{"credential", e.credential},
		{"jti", e.tokenID},
		{"token_client_id", e.subject},
		{"aud", e.audience},
		{"scope", e.scope},
		{"required_aud", e.required.Audience},
		{"required_scope", strings.Join(e.required.Scopes, " ")},
		{"caller_request_id", e.callerID},
		{"trace_id", e.traceID},
	}
}

// outcome is what became of the request in one word.
func (e *event) outcome() string {
	if e.reason != "" {
		return "refused"
	}
	if e.revoked {
		return "revoked"
	}
	return "allowed"
}

// maxCallerID bounds the request id of a caller; a UUID has 36 characters.
const maxCallerID = 64

// callerID is the request id that a caller sent, if it has the shape of one. It is noted and never taken for ours: a caller
// could give many requests one name, or one of its own the name of another's.
func callerID(id string) string {
	if len(id) > maxCallerID || strings.Trim(id, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.") != "" {
		return ""
	}
	return id
}

// sourceOf is the address that a request comes from, without its port.
func sourceOf(remoteAddr string) string {
	address, err := netip.ParseAddrPort(remoteAddr)
	if err != nil {
		return ""
	}
	return written(address.Addr())
}

// written is how an address stands in the audit line: of IPv6 its /64, all of which one host has.
func written(address netip.Addr) string {
	if address = address.Unmap(); address.Is6() {
		if prefix, err := address.WithZone("").Prefix(64); err == nil {
			return prefix.String()
		}
	}
	return address.String()
}
