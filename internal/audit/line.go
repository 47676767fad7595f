// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"strings"
	"sync"
	"time"

	"github.com/hallpass-dev/hallpass/internal/strictjson"
)

// usualLine is about what an audit line takes.
const usualLine = 768

// lines is room for audit lines; a writer keeps nothing of what it is given.
var lines = sync.Pool{New: func() any { return new([usualLine]byte) }} //nolint:gochecknoglobals // a pool of buffers

func (a *Auditor) write(r *Record, now time.Time, status int) {
	room, _ := lines.Get().(*[usualLine]byte)
	_, _ = a.Lines.Write(r.line(room[:], now, status)) // there is nobody to report it to
	lines.Put(room)
}

// line is the audit line, in the room given if it fits.
func (r *Record) line(room []byte, now time.Time, status int) []byte {
	line := strictjson.NewBuilder(room).Time("time", now).Text("level", "INFO").Text("msg", "decision").
		Text("request_id", r.RequestID).Text("endpoint", r.Endpoint).Text("outcome", r.outcome()).
		Number("status", int64(status)).Text("source", r.Source)
	for _, field := range r.fields() {
		if field.value != "" {
			line.Text(field.name, field.value)
		}
	}
	return append(line.End(), '\n')
}

// field is one thing to say of a request.
type field struct{ name, value string }

// fields are what audit lines and spans show beside the request's id, endpoint, outcome, status and
// source. This is the allow-list.
func (r *Record) fields() [14]field {
	trail := &r.Trail
	return [...]field{
		{"forwarded_for", r.ForwardedFor},
		{"reason", string(r.Reason)},
		{"token_denial", string(trail.Denial)},
		{"client_id", trail.ClientID},
		{"method", string(trail.Method)},
		{"credential", trail.Credential},
		{"jti", trail.TokenID},
		{"token_client_id", trail.TokenClientID},
		{"aud", trail.Audience},
		{"scope", trail.Scope},
		{"required_aud", trail.Required.Audience},
		{"required_scope", strings.Join(trail.Required.Scopes, " ")},
		{"caller_request_id", r.CallerID},
		{"trace_id", r.TraceID},
	}
}

// outcome is what became of the request in one word.
func (r *Record) outcome() string {
	switch {
	case r.Reason != "":
		return "refused"
	case r.Trail.Revoked:
		return "revoked"
	}
	return "allowed"
}
