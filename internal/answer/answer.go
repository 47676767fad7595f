// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

// Package answer makes answers as values: status, headers and body. Refusals are those of RFC 6749
// section 5.2 and, where a proxy asks, of RFC 6750 section 3; identity headers name the caller of
// an admitted request. HTTP and gRPC send the same values.
//
// It decides nothing, and knows neither HTTP requests nor connections.
package answer

import (
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/hallpass-dev/hallpass/internal/oauth2"
)

// Header is a header. Its name is in the form that net/http keeps names in.
type Header struct{ Name, Value string }

// Answer is a whole answer but for the headers that depend on the connection.
type Answer struct {
	Status int
	Header []Header
	Body   []byte
}

// JSON is the media type of most bodies.
const JSON = "application/json"

// Private is an answer that nothing may store (RFC 6749 section 5.1).
func Private(contentType string, body []byte) Answer {
	if contentType == JSON && len(body) > 0 {
		return Answer{Status: http.StatusOK, Header: privateJSON, Body: body}
	}
	return private(http.StatusOK, contentType, body)
}

// privateJSON are the headers of most answers, made once and read-only.
var privateJSON = slices.Clip(private(http.StatusOK, JSON, []byte("{}")).Header) //nolint:gochecknoglobals // a constant

func private(status int, contentType string, body []byte, further ...Header) Answer {
	header := append(make([]Header, 0, 5+len(further)), further...)
	header = append(header, Header{"Cache-Control", "no-store"}, Header{"Pragma", "no-cache"}, Header{"Vary", "Authorization, Accept"})
	return Answer{Status: status, Header: typed(header, contentType, body), Body: body}
}

// Public is an answer that everybody may store for a time.
func Public(contentType string, body []byte, maxAge time.Duration) Answer {
	header := append(make([]Header, 0, 3), Header{"Cache-Control", "public, max-age=" + strconv.Itoa(int(maxAge/time.Second))})
	return Answer{Status: http.StatusOK, Header: typed(header, contentType, body), Body: body}
}

// Tagged is an answer that its caller may store, if it asks each time whether it is still current.
// Of a current one there is no body: RFC 9110 section 15.4.5.
func Tagged(contentType string, body []byte, tag string, current bool) Answer {
	header := append(make([]Header, 0, 5), Header{"Etag", tag}, Header{"Cache-Control", "private, no-cache"}, Header{"Vary", "Authorization"})
	if current {
		return Answer{Status: http.StatusNotModified, Header: header}
	}
	return Answer{Status: http.StatusOK, Header: typed(header, contentType, body), Body: body}
}

// typed adds the type of a body.
func typed(header []Header, contentType string, body []byte) []Header {
	header = append(header, Header{"X-Content-Type-Options", "nosniff"})
	if len(body) > 0 {
		header = append(header, Header{"Content-Type", contentType})
	}
	return header
}

// Error is the refusal of a malformed request that HTTP itself has a status for.
type Error struct {
	status  int
	allow   string
	refusal *oauth2.Error
}

// ByHTTP makes an Error. allow are the methods that are allowed, if that is what is wrong.
func ByHTTP(status int, allow, description string) *Error {
	return &Error{status, allow, oauth2.Refuse(oauth2.InvalidRequest, oauth2.ReasonMalformedRequest, description)}
}

// Error implements error.
func (e *Error) Error() string { return e.refusal.Error() }

// Unwrap returns the refusal.
func (e *Error) Unwrap() error { return e.refusal }

// serverError is the body of an answer without any detail.
const serverError = `{"error":"server_error"}`

// Refusal is the answer to an error. One that is no refusal is our own fault and becomes
// server_error without any detail.
func Refusal(err error) Answer {
	refusal, ok := errors.AsType[*oauth2.Error](err)
	if !ok {
		return private(http.StatusInternalServerError, JSON, []byte(serverError))
	}
	status, header := statusOf(refusal), retryAfter(refusal)
	if byHTTP, ok := errors.AsType[*Error](err); ok {
		status = byHTTP.status
		if byHTTP.allow != "" {
			header = append(header, Header{"Allow", byHTTP.allow})
		}
	}
	if status == http.StatusUnauthorized {
		header = append(header, Header{"Www-Authenticate", `Basic realm="hallpass", charset="UTF-8"`})
	}
	return private(status, JSON, errorBody(refusal), header...)
}

func errorBody(refusal *oauth2.Error) []byte {
	body, err := json.Marshal(struct {
		Error       oauth2.ErrorCode `json:"error"`
		Description string           `json:"error_description,omitempty"`
	}{refusal.Code, refusal.Description})
	if err != nil {
		return []byte(serverError)
	}
	return body
}

func retryAfter(refusal *oauth2.Error) []Header {
	if refusal.RetryAfter <= 0 {
		return nil
	}
	return []Header{{"Retry-After", strconv.Itoa(int((refusal.RetryAfter + time.Second - 1) / time.Second))}}
}

func statusOf(refusal *oauth2.Error) int {
	switch refusal.Code {
	case oauth2.InvalidClient, oauth2.InvalidToken:
		return http.StatusUnauthorized
	case oauth2.InsufficientScope:
		return http.StatusForbidden
	case oauth2.TemporarilyUnavailable:
		if refusal.Reason == oauth2.ReasonThrottled { // RFC 6585 section 4
			return http.StatusTooManyRequests
		}
		return http.StatusServiceUnavailable
	case oauth2.ServerError:
		return http.StatusInternalServerError
	default:
		return http.StatusBadRequest
	}
}
