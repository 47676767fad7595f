// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package tokenserver

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"strconv"
	"time"

	"github.com/hallpass-dev/hallpass/internal/oauth2"
)

// handler answers one request with a value to render, or an error. It tells the event what it decided about.
type handler func(r *http.Request, e *event) (answer, error)

// answer is what an endpoint says when it says yes.
type answer struct {
	// body is rendered as JSON unless it is raw already.
	body any
	// contentType is application/json unless set.
	contentType string
	// maxAge makes the answer cacheable; without it nothing may be stored.
	maxAge time.Duration
	// header has further headers, and identity those that say who calls.
	header   http.Header
	identity *Identity
	// notModified answers 304 instead: the caller has the body already.
	notModified bool
}

// rawJSON is a body that was rendered before: JSON, or a JWT of JSON.
type rawJSON []byte

// httpError is a refusal that HTTP itself has a status for.
type httpError struct {
	status  int
	allow   string
	refusal *oauth2.Error
}

func (e *httpError) Error() string { return e.refusal.Error() }

func (e *httpError) Unwrap() error { return e.refusal }

func notFound(*http.Request, *event) (answer, error) {
	return answer{}, &httpError{status: http.StatusNotFound, refusal: oauth2.Refuse(
		oauth2.InvalidRequest, oauth2.ReasonMalformedRequest, "there is nothing at this path; see "+oauth2.MetadataPath)}
}

func methodNotAllowed(allow string) handler {
	return func(*http.Request, *event) (answer, error) {
		return answer{}, &httpError{status: http.StatusMethodNotAllowed, allow: allow, refusal: oauth2.Refuse(
			oauth2.InvalidRequest, oauth2.ReasonMalformedRequest, "this endpoint answers "+allow+" only")}
	}
}

// errorBody is the body of every refusal (RFC 6749 section 5.2).
type errorBody struct {
	Error       oauth2.ErrorCode `json:"error"`
	Description string           `json:"error_description,omitempty"`
}

// headerRequestID is in the form that net/http keeps names in, so that it need not be brought into it.
const headerRequestID = "X-Request-Id"

// first is what is said of a header that should be there once.
func first(values []string) string {
	if len(values) == 0 {
		return ""
	}
	return values[0]
}

// endpoint turns a handler into an http.Handler: it alone writes statuses, headers and bodies, and logs and counts each
// decision once.
func (s *Server) endpoint(name string, handle handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		e := s.newEvent(name, r.RemoteAddr, first(r.Header[headerRequestID]), r.Header["X-Forwarded-For"])
		ctx, span := s.startSpan(r.Context(), r.Header.Values("Traceparent"), e)
		w.Header()[headerRequestID] = []string{e.requestID}
		if span.IsRecording() {
			r = r.WithContext(ctx)
		}
		a, err := answer{}, s.freshFor(name)
		if err == nil {
			a, err = handle(r, e)
		}
		var status int
		if err != nil {
			status = s.refuse(ctx, w, e, err)
		} else {
			status = respond(w, a)
		}
		s.record(e, status)
		endSpan(span, e, status)
	})
}

func respond(w http.ResponseWriter, a answer) int {
	body, raw := a.body.(rawJSON)
	if !raw {
		var err error
		if body, err = json.Marshal(a.body); err != nil {
			return writeBody(w, http.StatusInternalServerError, rawJSON(`{"error":"server_error"}`))
		}
	}
	header := w.Header()
	maps.Copy(header, a.header)
	if a.identity != nil {
		a.identity.addTo(header)
	}
	if a.contentType != "" {
		header.Set("Content-Type", a.contentType)
	}
	if a.maxAge > 0 {
		header.Set("Cache-Control", "public, max-age="+strconv.Itoa(int(a.maxAge/time.Second)))
	}
	if a.notModified {
		w.WriteHeader(http.StatusNotModified)
		return http.StatusNotModified
	}
	return writeBody(w, http.StatusOK, body)
}

// refuse answers an error. One that it does not know is our own fault and becomes server_error without any detail.
func (s *Server) refuse(ctx context.Context, w http.ResponseWriter, e *event, err error) int {
	refusal, known := errors.AsType[*oauth2.Error](err)
	if !known {
		s.Log.ErrorContext(ctx, "cannot answer", "endpoint", e.endpoint, "error", err)
		refusal = oauth2.Refuse(oauth2.ServerError, reasonInternal, "")
	}
	e.reason = refusal.Reason
	status := statusOf(refusal.Code)
	if byHTTP, ok := errors.AsType[*httpError](err); ok {
		status = byHTTP.status
		if byHTTP.allow != "" {
			w.Header().Set("Allow", byHTTP.allow)
		}
	}
	bearer, byToken := errors.AsType[*bearerError](err)
	if byToken {
		status = bearer.status()
		bearer.challenge(w.Header())
	} else if status == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", `Basic realm="hallpass", charset="UTF-8"`)
	}
	if refusal.RetryAfter > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(int((refusal.RetryAfter+time.Second-1)/time.Second)))
	}
	if byToken && bearer.page {
		return writeBody(w, status, bearer.html(w.Header()))
	}
	body, err := json.Marshal(errorBody{refusal.Code, refusal.Description})
	if err != nil {
		body = rawJSON(`{"error":"server_error"}`)
	}
	return writeBody(w, status, body)
}

func statusOf(code oauth2.ErrorCode) int {
	switch code {
	case oauth2.InvalidClient, oauth2.InvalidToken:
		return http.StatusUnauthorized
	case oauth2.InsufficientScope:
		return http.StatusForbidden
	case oauth2.TemporarilyUnavailable:
		return http.StatusServiceUnavailable
	case oauth2.ServerError:
		return http.StatusInternalServerError
	default:
		return http.StatusBadRequest
	}
}

// writeBody sends headers and body. Unless an answer was made cacheable before, nothing may store it (RFC 6749 section 5.1).
func writeBody(w http.ResponseWriter, status int, body rawJSON) int {
	header := w.Header()
	values := [...]string{strconv.Itoa(len(body)), "nosniff", "application/json", "no-store", "no-cache", "Authorization, Accept"}
	header["Content-Length"], header["X-Content-Type-Options"] = values[0:1:1], values[1:2:2] // one piece of memory for all of them
	if len(header["Content-Type"]) == 0 && len(body) > 0 {
		header["Content-Type"] = values[2:3:3]
	}
	if len(header["Cache-Control"]) == 0 {
		header["Cache-Control"], header["Pragma"], header["Vary"] = values[3:4:4], values[4:5:5], values[5:6:6]
	}
	w.WriteHeader(status)
	_, _ = w.Write(body) // the caller may be gone; there is nobody else to tell
	return status
}
